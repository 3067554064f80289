# Comparisons of linear mixed models by lme4: anova() and drop1() of fits by REML, which lme4 fits
# again by maximum likelihood, and anova(refit = FALSE). Run in this folder:
#   Rscript anova.R
# writes anova.json. The data sets are read from data/.
library(lme4)
library(jsonlite)

sleep <- read.csv("data/sleepstudy.csv")
sleep$Subject <- factor(sleep$Subject)
cake <- read.csv("data/cake.csv")
cake[c("replicate", "recipe", "temperature")] <-
  lapply(cake[c("replicate", "recipe", "temperature")], factor)

control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))
table <- function(found) as.list(as.data.frame(found))

none <- lmer(Reaction ~ 1 + (1 | Subject), sleep, control = control)
days <- lmer(Reaction ~ Days + (1 | Subject), sleep, control = control)
slopes <- lmer(Reaction ~ Days + (Days | Subject), sleep, control = control)
baked <- lmer(angle ~ recipe + temperature + (1 | replicate), cake, control = control)

heads <- list(
  fixed = table(suppressMessages(anova(none, days))),
  random_by_ml = table(suppressMessages(anova(days, slopes))),
  random_by_reml = table(anova(days, slopes, refit = FALSE)),
  drop1 = table(drop1(baked, test = "Chisq")),
  versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")))
)
write_json(heads, "anova.json", auto_unbox = TRUE, digits = 12, pretty = TRUE, na = "null")
