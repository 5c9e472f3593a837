# Restricted mean survival time: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript rmst.R writes expected/rmst.json; needs the packages named in each record.
source("record.R")

record("rmst_lung_tau365", "survival::lung",
  prep = "d <- survival::lung; tm<-d$time; st<-as.integer(d$status==2); arm<-as.integer(d$sex==2)",
  call = "r <- rmst2(tm, st, arm, tau=365)",
  read_off = "list(tau=r$tau, arm1=r$RMST.arm1$result, arm0=r$RMST.arm0$result, rmst_var1=r$RMST.arm1$rmst.var, rmst_var0=r$RMST.arm0$rmst.var, contrasts=r$unadjusted.result, adjusted=r$adjusted.result)",
  note = NULL,
  packages = c("survival", "survRM2"))

record("rmst_lung_tau500", "survival::lung",
  prep = "d <- survival::lung; tm<-d$time; st<-as.integer(d$status==2); arm<-as.integer(d$sex==2)",
  call = "r <- rmst2(tm, st, arm, tau=500)",
  read_off = "list(tau=r$tau, arm1=r$RMST.arm1$result, arm0=r$RMST.arm0$result, rmst_var1=r$RMST.arm1$rmst.var, rmst_var0=r$RMST.arm0$rmst.var, contrasts=r$unadjusted.result, adjusted=r$adjusted.result)",
  note = NULL,
  packages = c("survival", "survRM2"))

record("rmst_lung_tau700", "survival::lung",
  prep = "d <- survival::lung; tm<-d$time; st<-as.integer(d$status==2); arm<-as.integer(d$sex==2)",
  call = "r <- rmst2(tm, st, arm, tau=700)",
  read_off = "list(tau=r$tau, arm1=r$RMST.arm1$result, arm0=r$RMST.arm0$result, rmst_var1=r$RMST.arm1$rmst.var, rmst_var0=r$RMST.arm0$rmst.var, contrasts=r$unadjusted.result, adjusted=r$adjusted.result)",
  note = NULL,
  packages = c("survival", "survRM2"))

record("rmst_veteran_240", "survival::veteran",
  prep = "d <- survival::veteran; arm<-d$trt-1",
  call = "r <- rmst2(d$time, d$status, arm, tau=240)",
  read_off = "list(tau=r$tau, arm1=r$RMST.arm1$result, arm0=r$RMST.arm0$result, rmst_var1=r$RMST.arm1$rmst.var, rmst_var0=r$RMST.arm0$rmst.var, contrasts=r$unadjusted.result, adjusted=r$adjusted.result)",
  note = NULL,
  packages = c("survival", "survRM2"))

record("rmst_myeloid_1460", "survival::myeloid",
  prep = "d <- survival::myeloid; arm<-as.integer(d$trt=='B')",
  call = "r <- rmst2(d$futime, d$death, arm, tau=1460)",
  read_off = "list(tau=r$tau, arm1=r$RMST.arm1$result, arm0=r$RMST.arm0$result, rmst_var1=r$RMST.arm1$rmst.var, rmst_var0=r$RMST.arm0$rmst.var, contrasts=r$unadjusted.result, adjusted=r$adjusted.result)",
  note = NULL,
  packages = c("survival", "survRM2"))

record("rmst_lung_ancova", "survival::lung",
  prep = "d <- subset(survival::lung, !is.na(ph.ecog)); arm<-as.integer(d$sex==2)",
  call = "r <- rmst2(d$time, as.integer(d$status==2), arm, tau=500, covariates=as.matrix(d[,c('age','ph.ecog')]))",
  read_off = "list(RMST.difference.adjusted=r$RMST.difference.adjusted, RMST.ratio.adjusted=r$RMST.ratio.adjusted, adjusted=r$adjusted.result)",
  note = "Tian et al. 2014 IPCW regression",
  packages = c("survival", "survRM2"))

record("rmst_survfit_lung", "survival::lung",
  prep = "d <- survival::lung",
  call = "fit <- survfit(Surv(time,status==2)~sex, data=d)\ns <- summary(fit, rmean=500)$table",
  read_off = "s[,c('records','events','rmean','se(rmean)')]",
  note = "survival package: same area; its SE uses Greenwood-type integral (may differ slightly from survRM2)",
  packages = c("survival"))

record("rmst_bmtKM_dfs", "KMsurv::bmt",
  prep = "data(bmt, package='KMsurv'); d <- subset(bmt, group %in% c(2,3))",
  call = "r <- rmst2(d$t2, d$d3, as.integer(d$group==3), tau=1000)",
  read_off = "list(tau=r$tau, arm1=r$RMST.arm1$result, arm0=r$RMST.arm0$result, rmst_var1=r$RMST.arm1$rmst.var, rmst_var0=r$RMST.arm0$rmst.var, contrasts=r$unadjusted.result, adjusted=r$adjusted.result)",
  note = "AML low risk (0) vs AML high risk (1), disease-free survival",
  packages = c("survival", "survRM2", "KMsurv"))

record("rmst_hand_lung", "survival::lung",
  prep = "d <- survival::lung",
  call = "hand <- function(f,tau){ i <- f$n.event>0 & f$time<=tau; t <- f$time[i]; S <- f$surv[i]; d <- f$n.event[i]; n <- f$n.risk[i]; tt <- c(0,t,tau); SS <- c(1,S); m <- sum(diff(tt)*SS); A <- rev(cumsum(rev(diff(tt)[-1]*SS[-1]))); v1 <- sum(A^2*d/(n*(n-d)), na.rm=TRUE); c(rmst=m, se=sqrt(v1), se_unbiased_m_over_m1=sqrt(v1*sum(d)/(sum(d)-1))) }\nr <- lapply(split(d,d$sex), function(x) hand(survfit(Surv(time,status==2)~1,data=x),500))",
  read_off = "r",
  note = "formula: Var=sum_i A_i^2 d_i/(Y_i(Y_i-d_i)), A_i=int_{t_i}^tau S",
  packages = c("survival"))

finish("expected/rmst.json", "Restricted mean survival time", "rmst.R")
