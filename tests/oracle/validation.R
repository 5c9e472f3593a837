# Validation: concordance, Brier score, AUC, calibration, splines: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript validation.R writes expected/validation.json; needs the packages named in each record.
source("record.R")

record("concordance_lung", "survival::lung",
  prep = "d <- subset(survival::lung, !is.na(ph.ecog))",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d)
c1 <- concordance(f); c2 <- concordance(f,timewt='n/G2'); c3 <- concordance(f,timewt='S'); c4 <- concordance(f,ymax=500); c5 <- concordance(f,timewt='n/G2',ymax=500)
r <- royston(f)",
  read_off = "list(harrell=list(c=c1$concordance,var=c1$var,counts=c1$count), uno=list(c=c2$concordance,var=c2$var), S_weight=list(c=c3$concordance,var=c3$var), harrell_500=list(c=c4$concordance,var=c4$var), uno_500=list(c=c5$concordance,var=c5$var), royston=r)",
  note = "timewt='n/G2' is Uno's C",
  packages = c("survival"))

record("brier_auc_gbsg_external", "survival::rotterdam + survival::gbsg",
  prep = "r <- subset(survival::rotterdam, nodes>0); r$rfs <- pmax(r$recur,r$death); r$time <- with(r, ifelse(recur==1, rtime, dtime)); r$status <- r$rfs; r$lpgr<-log1p(r$pgr); g <- survival::gbsg; g$time <- g$rfstime; g$lpgr<-log1p(g$pgr)",
  call = "f <- coxph(Surv(time,status)~age+nodes+lpgr+hormon, data=r, x=TRUE)
s <- suppressWarnings(Score(list(cox=f), formula=Surv(time,status)~1, data=g, times=c(365.25,730.5,1095.75,1826.25), metrics=c('auc','brier'), summary='ibs', cens.model='km', conf.int=TRUE))
lp <- predict(f,newdata=g,type='lp'); cs <- coxph(Surv(time,status)~lp,data=g); cc <- concordance(Surv(time,status)~lp,data=g,reverse=TRUE)
pr <- predictRisk(f,newdata=g,times=c(1095.75))
bl <- exp(-predict(f,newdata=g,type='expected')); oe <- sum(g$status)/sum(predict(f,newdata=g,type='expected'))",
  read_off = "list(coef=coef(f), brier=as.data.frame(s$Brier$score), auc=as.data.frame(s$AUC$score), calibration_slope=cox_out(cs), cindex=list(c=cc$concordance,var=cc$var), risk3y_first5=I(as.vector(pr)[1:5]), OE_ratio=oe)",
  note = "develop on Rotterdam node-positive, validate on GBSG; IPCW with marginal KM; IBS trapezoid/left-continuous as in riskRegression",
  packages = c("survival", "riskRegression"))

record("rms_validate_calibration_gbsg", "survival::gbsg",
  prep = "d <- survival::gbsg; d$time <- d$rfstime/365.25",
  call = "f <- cph(Surv(time,status)~rcs(age,4)+hormon+rcs(nodes,3), data=d, x=TRUE, y=TRUE, surv=TRUE)",
  read_off = "list(coef=coef(f), loglik=I(f$loglik), stats=f$stats, knots_age=I(attr(rcs(d$age,4),\"parms\")), knots_nodes=I(attr(rcs(d$nodes,3),\"parms\")))",
  note = "restricted cubic splines (Harrell basis, norm 2)",
  packages = c("survival", "rms"))

finish("expected/validation.json", "Validation: concordance, Brier score, AUC, calibration, splines", "validation.R")
