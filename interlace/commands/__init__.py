"""What the command line does: tables read, models fitted and asked, answers written."""
