# Standard errors of conditional predictions by glmmTMB, which include the uncertainty of all
# parameters and of the random effects. Run in this folder:
#   Rscript after_fit.R
# writes after_fit.json. The data sets are read from data/.
library(glmmTMB)
library(jsonlite)

factor_columns <- function(data, names) {
  data[names] <- lapply(data[names], factor)
  data
}
cbpp <- factor_columns(read.csv("data/cbpp.csv"), c("herd", "period"))
sleep <- factor_columns(read.csv("data/sleepstudy.csv"), "Subject")
pen <- factor_columns(read.csv("data/Penicillin.csv"), c("plate", "sample"))

fits <- list(
  cbpp = glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial),
  sleepstudy = glmmTMB(Reaction ~ Days + (Days | Subject), sleep, gaussian),
  Penicillin = glmmTMB(diameter ~ 1 + (1 | plate) + (1 | sample), pen, gaussian)
)
heads <- lapply(fits, function(fit) {
  found <- predict(fit, se.fit = TRUE, type = "link")
  list(fit = head(found$fit, 20), se = head(found$se.fit, 20))
})
heads$versions <- list(R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB")))
write_json(heads, "after_fit.json", auto_unbox = TRUE, digits = 10, pretty = TRUE)
