# What R's survival says of one table: Rscript survival.R TABLE.csv HORIZONS
suppressPackageStartupMessages(library(survival))
argument <- commandArgs(trailingOnly = TRUE)
d <- read.csv(argument[1])
h <- as.numeric(strsplit(argument[2], ",")[[1]])
say <- function(name, values) cat(name, format(as.numeric(values), digits = 17), "\n")
f <- coxph(Surv(time, event) ~ ., data = d, ties = "efron",
           control = coxph.control(eps = 1e-14, iter.max = 100))
say("coefficients", coef(f))
say("covariance", vcov(f))
say("log_likelihood", f$loglik[2])
band <- function(patient) summary(survfit(f, newdata = patient, stype = 2, ctype = 1,
                                          conf.type = "log-log"), times = h, extend = TRUE)
nobody <- d[1, ]
nobody[] <- 0
say("baseline", band(nobody)$cumhaz)
first <- band(d[1, ])
say("risk", 1 - first$surv)
say("risk_lower", 1 - first$upper)
say("risk_upper", 1 - first$lower)
lp <- as.matrix(d[, names(coef(f)), drop = FALSE]) %*% coef(f)
say("harrell", concordance(Surv(time, event) ~ lp, data = d, reverse = TRUE)$concordance)
say("uno", concordance(Surv(time, event) ~ lp, data = d, reverse = TRUE, timewt = "n/G2",
                       ymax = max(h))$concordance)
km <- summary(survfit(Surv(time, event) ~ 1, data = d, conf.type = "log-log"), times = h,
              extend = TRUE)
say("survival", km$surv)
say("survival_lower", km$lower)
say("survival_upper", km$upper)
# Brier score and AUC with the weights of rttright: who is lost gives its weight to who stays.
brier <- auc <- c()
for (i in seq_along(h)) {
  # Just after the horizon, so that who is lost at it is lost.
  w <- as.numeric(rttright(Surv(time, event) ~ 1, data = d, times = h[i] * (1 + 1e-9)))
  w <- w / sum(w)
  died <- d$time <= h[i] & d$event == 1
  free <- d$time > h[i]
  w[!died & !free] <- 0
  risk <- 1 - exp(-band(nobody)$cumhaz[i] * exp(lp))
  brier <- c(brier, sum(w * (died - risk)^2))
  pairs <- outer(w[died], w[free])
  order <- outer(lp[died], lp[free], function(a, b) (a > b) + 0.5 * (a == b))
  auc <- c(auc, sum(pairs * order) / sum(pairs))
}
say("brier", brier)
say("auc", auc)
