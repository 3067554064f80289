"""What all tests share."""

# The folder interlace_core/ has the name of the package inside it. Pytest would take the folder
# for the package when it imports the tests below it, unless the package is there already.
import interlace_core  # noqa: F401
