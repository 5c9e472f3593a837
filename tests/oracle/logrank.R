# Log-rank, G-rho, Fleming-Harrington (rho,gamma), MaxCombo, stratified and one-sample log-rank: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript logrank.R writes expected/logrank.json; needs the packages named in each record.
source("record.R")

record("survdiff_lung_sex_rho0", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survdiff(Surv(time,status==2)~sex, data=d, rho=0)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = "G-rho family: weights S(t-)^rho",
  packages = c("survival"))

record("survdiff_veteran_celltype_rho0", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "fit <- survdiff(Surv(time,status)~celltype, data=d, rho=0)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = NULL,
  packages = c("survival"))

record("survdiff_myeloid_trt_rho0", "survival::myeloid",
  prep = "d <- survival::myeloid",
  call = "fit <- survdiff(Surv(futime,death)~trt, data=d, rho=0)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = NULL,
  packages = c("survival"))

record("survdiff_colon_rx_strat_differ_rho0", "survival::colon",
  prep = "d <- subset(survival::colon, etype==2 & !is.na(differ))",
  call = "fit <- survdiff(Surv(time,status)~rx+strata(differ), data=d, rho=0)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = "stratified test",
  packages = c("survival"))

record("survdiff_lung_sex_rho1", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survdiff(Surv(time,status==2)~sex, data=d, rho=1)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = "G-rho family: weights S(t-)^rho",
  packages = c("survival"))

record("survdiff_veteran_celltype_rho1", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "fit <- survdiff(Surv(time,status)~celltype, data=d, rho=1)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = NULL,
  packages = c("survival"))

record("survdiff_myeloid_trt_rho1", "survival::myeloid",
  prep = "d <- survival::myeloid",
  call = "fit <- survdiff(Surv(futime,death)~trt, data=d, rho=1)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = NULL,
  packages = c("survival"))

record("survdiff_colon_rx_strat_differ_rho1", "survival::colon",
  prep = "d <- subset(survival::colon, etype==2 & !is.na(differ))",
  call = "fit <- survdiff(Surv(time,status)~rx+strata(differ), data=d, rho=1)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = "stratified test",
  packages = c("survival"))

record("survdiff_lung_sex_rho0.5", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survdiff(Surv(time,status==2)~sex, data=d, rho=0.5)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = "G-rho family: weights S(t-)^rho",
  packages = c("survival"))

record("survdiff_veteran_celltype_rho0.5", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "fit <- survdiff(Surv(time,status)~celltype, data=d, rho=0.5)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = NULL,
  packages = c("survival"))

record("survdiff_myeloid_trt_rho0.5", "survival::myeloid",
  prep = "d <- survival::myeloid",
  call = "fit <- survdiff(Surv(futime,death)~trt, data=d, rho=0.5)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = NULL,
  packages = c("survival"))

record("survdiff_colon_rx_strat_differ_rho0.5", "survival::colon",
  prep = "d <- subset(survival::colon, etype==2 & !is.na(differ))",
  call = "fit <- survdiff(Surv(time,status)~rx+strata(differ), data=d, rho=0.5)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = "stratified test",
  packages = c("survival"))

record("survdiff_lung_strat_ecog", "survival::lung",
  prep = "d <- subset(survival::lung, !is.na(ph.ecog))",
  call = "fit <- survdiff(Surv(time,status==2)~sex+strata(ph.ecog), data=d)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = NULL,
  packages = c("survival"))

record("survdiff_mgus2_sex", "survival::mgus2",
  prep = "d <- survival::mgus2",
  call = "fit <- survdiff(Surv(futime,death)~sex, data=d)",
  read_off = "list(n=I(as.vector(fit$n)), obs=I(as.vector(if(is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs)), exp=I(as.vector(if(is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp)), var=fit$var, chisq=fit$chisq, df=length(fit$n)-1, p=pchisq(fit$chisq, length(fit$n)-1, lower.tail=FALSE))",
  note = NULL,
  packages = c("survival"))

record("survdiff_onesample_mgus2", "survival::mgus2",
  prep = "d <- subset(survival::mgus2, futime>0); d$entry <- as.Date(paste0(d$dxyr,'-07-01')); d$ti <- d$futime*365.25/12",
  call = "e <- survexp(ti ~ 1, data=d, rmap=list(age=age*365.25, sex=ifelse(sex=='F','female','male'), year=entry), ratetable=survexp.us, method='individual.s')\nfit <- survdiff(Surv(ti,death) ~ offset(e), data=d)",
  read_off = "list(n=nrow(d), obs=fit$obs, exp=fit$exp, chisq=fit$chisq, smr=fit$obs/fit$exp)",
  note = "one-sample log-rank against US population; entry date taken as 1 July of dxyr, months*365.25/12 days",
  packages = c("survival"))

record("fleming_harrington_lung", "survival::lung",
  prep = "d <- survival::lung; tm<-d$time; st<-d$status==2; g<-d$sex\nfh <- function(time,status,g,p,q){ g <- g==sort(unique(g))[2]; tt <- sort(unique(time[status==1])); S <- 1; U<-V<-0\n for(t in tt){ Y <- sum(time>=t); Y1 <- sum(time>=t & g); D <- sum(time==t&status==1); D1 <- sum(time==t&status==1&g); w <- S^p*(1-S)^q\n  U <- U + w*(D1 - D*Y1/Y); if(Y>1) V <- V + w^2*D*(Y1/Y)*(1-Y1/Y)*(Y-D)/(Y-1); S <- S*(1-D/Y) }\n c(U=U, V=V, Z=U/sqrt(V), chisq=U^2/V, p=pchisq(U^2/V,1,lower.tail=FALSE)) }\nfhcov <- function(time,status,g,pq){ g <- g==sort(unique(g))[2]; tt <- sort(unique(time[status==1])); S <- 1; k<-nrow(pq); C<-matrix(0,k,k); U<-rep(0,k)\n for(t in tt){ Y <- sum(time>=t); Y1 <- sum(time>=t & g); D <- sum(time==t&status==1); D1 <- sum(time==t&status==1&g); w <- S^pq[,1]*(1-S)^pq[,2]; U <- U+w*(D1-D*Y1/Y)\n  if(Y>1) C <- C + outer(w,w)*D*(Y1/Y)*(1-Y1/Y)*(Y-D)/(Y-1); S <- S*(1-D/Y) }\n Z <- U/sqrt(diag(C)); list(Z=I(Z), cor=cov2cor(C), max_abs_z=max(abs(Z))) }",
  call = "fhs <- lapply(list(c(0,0),c(1,0),c(0,1),c(1,1),c(.5,.5)), function(x) fh(tm,st,g,x[1],x[2])); names(fhs) <- c('0_0','1_0','0_1','1_1','0.5_0.5')\nmc <- fhcov(tm,st,g,rbind(c(0,0),c(0,1),c(1,0),c(1,1))); set.seed(1); mc$maxcombo_p <- 1-as.numeric(mvtnorm::pmvnorm(lower=rep(-mc$max_abs_z,4),upper=rep(mc$max_abs_z,4),corr=mc$cor, algorithm=mvtnorm::GenzBretz(maxpts=250000,abseps=1e-6)))",
  read_off = "list(tests=fhs, maxcombo=mc)",
  note = "hand-coded (formula in prep): w=S(t-)^p (1-S(t-))^q with the pooled left-continuous KM, hypergeometric variance; Z sign is for the 2nd group (observed minus expected). MaxCombo p tolerance about 1e-4.",
  packages = c("survival", "mvtnorm"))

record("fleming_harrington_veteran", "survival::veteran",
  prep = "d <- survival::veteran; tm<-d$time; st<-d$status; g<-d$trt\nfh <- function(time,status,g,p,q){ g <- g==sort(unique(g))[2]; tt <- sort(unique(time[status==1])); S <- 1; U<-V<-0\n for(t in tt){ Y <- sum(time>=t); Y1 <- sum(time>=t & g); D <- sum(time==t&status==1); D1 <- sum(time==t&status==1&g); w <- S^p*(1-S)^q\n  U <- U + w*(D1 - D*Y1/Y); if(Y>1) V <- V + w^2*D*(Y1/Y)*(1-Y1/Y)*(Y-D)/(Y-1); S <- S*(1-D/Y) }\n c(U=U, V=V, Z=U/sqrt(V), chisq=U^2/V, p=pchisq(U^2/V,1,lower.tail=FALSE)) }\nfhcov <- function(time,status,g,pq){ g <- g==sort(unique(g))[2]; tt <- sort(unique(time[status==1])); S <- 1; k<-nrow(pq); C<-matrix(0,k,k); U<-rep(0,k)\n for(t in tt){ Y <- sum(time>=t); Y1 <- sum(time>=t & g); D <- sum(time==t&status==1); D1 <- sum(time==t&status==1&g); w <- S^pq[,1]*(1-S)^pq[,2]; U <- U+w*(D1-D*Y1/Y)\n  if(Y>1) C <- C + outer(w,w)*D*(Y1/Y)*(1-Y1/Y)*(Y-D)/(Y-1); S <- S*(1-D/Y) }\n Z <- U/sqrt(diag(C)); list(Z=I(Z), cor=cov2cor(C), max_abs_z=max(abs(Z))) }",
  call = "fhs <- lapply(list(c(0,0),c(1,0),c(0,1),c(1,1),c(.5,.5)), function(x) fh(tm,st,g,x[1],x[2])); names(fhs) <- c('0_0','1_0','0_1','1_1','0.5_0.5')\nmc <- fhcov(tm,st,g,rbind(c(0,0),c(0,1),c(1,0),c(1,1))); set.seed(1); mc$maxcombo_p <- 1-as.numeric(mvtnorm::pmvnorm(lower=rep(-mc$max_abs_z,4),upper=rep(mc$max_abs_z,4),corr=mc$cor, algorithm=mvtnorm::GenzBretz(maxpts=250000,abseps=1e-6)))",
  read_off = "list(tests=fhs, maxcombo=mc)",
  note = "hand-coded (formula in prep): w=S(t-)^p (1-S(t-))^q with the pooled left-continuous KM, hypergeometric variance; Z sign is for the 2nd group (observed minus expected). MaxCombo p tolerance about 1e-4.",
  packages = c("survival", "mvtnorm"))

record("fleming_harrington_myeloid", "survival::myeloid",
  prep = "d <- survival::myeloid; tm<-d$futime; st<-d$death; g<-d$trt\nfh <- function(time,status,g,p,q){ g <- g==sort(unique(g))[2]; tt <- sort(unique(time[status==1])); S <- 1; U<-V<-0\n for(t in tt){ Y <- sum(time>=t); Y1 <- sum(time>=t & g); D <- sum(time==t&status==1); D1 <- sum(time==t&status==1&g); w <- S^p*(1-S)^q\n  U <- U + w*(D1 - D*Y1/Y); if(Y>1) V <- V + w^2*D*(Y1/Y)*(1-Y1/Y)*(Y-D)/(Y-1); S <- S*(1-D/Y) }\n c(U=U, V=V, Z=U/sqrt(V), chisq=U^2/V, p=pchisq(U^2/V,1,lower.tail=FALSE)) }\nfhcov <- function(time,status,g,pq){ g <- g==sort(unique(g))[2]; tt <- sort(unique(time[status==1])); S <- 1; k<-nrow(pq); C<-matrix(0,k,k); U<-rep(0,k)\n for(t in tt){ Y <- sum(time>=t); Y1 <- sum(time>=t & g); D <- sum(time==t&status==1); D1 <- sum(time==t&status==1&g); w <- S^pq[,1]*(1-S)^pq[,2]; U <- U+w*(D1-D*Y1/Y)\n  if(Y>1) C <- C + outer(w,w)*D*(Y1/Y)*(1-Y1/Y)*(Y-D)/(Y-1); S <- S*(1-D/Y) }\n Z <- U/sqrt(diag(C)); list(Z=I(Z), cor=cov2cor(C), max_abs_z=max(abs(Z))) }",
  call = "fhs <- lapply(list(c(0,0),c(1,0),c(0,1),c(1,1),c(.5,.5)), function(x) fh(tm,st,g,x[1],x[2])); names(fhs) <- c('0_0','1_0','0_1','1_1','0.5_0.5')\nmc <- fhcov(tm,st,g,rbind(c(0,0),c(0,1),c(1,0),c(1,1))); set.seed(1); mc$maxcombo_p <- 1-as.numeric(mvtnorm::pmvnorm(lower=rep(-mc$max_abs_z,4),upper=rep(mc$max_abs_z,4),corr=mc$cor, algorithm=mvtnorm::GenzBretz(maxpts=250000,abseps=1e-6)))",
  read_off = "list(tests=fhs, maxcombo=mc)",
  note = "hand-coded (formula in prep): w=S(t-)^p (1-S(t-))^q with the pooled left-continuous KM, hypergeometric variance; Z sign is for the 2nd group (observed minus expected). MaxCombo p tolerance about 1e-4.",
  packages = c("survival", "mvtnorm"))

record("survMisc_comp_lung", "survival::lung",
  prep = "d <- survival::lung",
  call = "tn <- survMisc::ten(Surv(time, status==2)~sex, data=d); invisible(capture.output(survMisc::comp(tn, p=c(0,1,1), q=c(1,0,1))))\nlr <- attr(tn,'lrt')",
  read_off = "as.data.frame(lr)",
  note = "independent package; FH_p=..q=.. rows. Its VARIANCE differs from survdiff and from the hypergeometric formula (log-rank 40.4280 against 40.3714): Q agrees, do not use its Var/Z as reference",
  packages = c("survival", "survMisc"))

finish("expected/logrank.json", "Log-rank, G-rho, Fleming-Harrington (rho,gamma), MaxCombo, stratified and one-sample log-rank", "logrank.R")
