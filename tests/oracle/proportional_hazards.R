# Proportional hazards tests: reference numbers, made with R version 4.2.2 Patched (2022-11-10 r83330).
# Rscript proportional_hazards.R writes expected/proportional_hazards.json; needs the packages named in each record.
source("record.R")

record("zph_lung_km", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d)\nz <- cox.zph(f, transform='km')",
  read_off = "list(table=z$table, x_first5=I(unname(z$x)[1:5]), y_first3=unname(z$y[1:3,]))",
  note = "survival>=3.0: exact score test, NOT the older Grambsch-Therneau approximation used e.g. by lifelines",
  packages = c("survival"))

record("zph_veteran_km", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "f <- coxph(Surv(time,status)~trt+celltype+karno+diagtime+age+prior, data=d)\nz <- cox.zph(f, transform='km')\nz1 <- cox.zph(f, transform='km', terms=FALSE)",
  read_off = "list(table_terms=z$table, table_columns=z1$table)",
  note = NULL,
  packages = c("survival"))

record("zph_lung_identity", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d)\nz <- cox.zph(f, transform='identity')",
  read_off = "list(table=z$table, x_first5=I(unname(z$x)[1:5]), y_first3=unname(z$y[1:3,]))",
  note = "survival>=3.0: exact score test, NOT the older Grambsch-Therneau approximation used e.g. by lifelines",
  packages = c("survival"))

record("zph_veteran_identity", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "f <- coxph(Surv(time,status)~trt+celltype+karno+diagtime+age+prior, data=d)\nz <- cox.zph(f, transform='identity')\nz1 <- cox.zph(f, transform='identity', terms=FALSE)",
  read_off = "list(table_terms=z$table, table_columns=z1$table)",
  note = NULL,
  packages = c("survival"))

record("zph_lung_rank", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d)\nz <- cox.zph(f, transform='rank')",
  read_off = "list(table=z$table, x_first5=I(unname(z$x)[1:5]), y_first3=unname(z$y[1:3,]))",
  note = "survival>=3.0: exact score test, NOT the older Grambsch-Therneau approximation used e.g. by lifelines",
  packages = c("survival"))

record("zph_veteran_rank", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "f <- coxph(Surv(time,status)~trt+celltype+karno+diagtime+age+prior, data=d)\nz <- cox.zph(f, transform='rank')\nz1 <- cox.zph(f, transform='rank', terms=FALSE)",
  read_off = "list(table_terms=z$table, table_columns=z1$table)",
  note = NULL,
  packages = c("survival"))

record("zph_lung_log", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d)\nz <- cox.zph(f, transform='log')",
  read_off = "list(table=z$table, x_first5=I(unname(z$x)[1:5]), y_first3=unname(z$y[1:3,]))",
  note = "survival>=3.0: exact score test, NOT the older Grambsch-Therneau approximation used e.g. by lifelines",
  packages = c("survival"))

record("zph_veteran_log", "survival::veteran",
  prep = "d <- survival::veteran",
  call = "f <- coxph(Surv(time,status)~trt+celltype+karno+diagtime+age+prior, data=d)\nz <- cox.zph(f, transform='log')\nz1 <- cox.zph(f, transform='log', terms=FALSE)",
  read_off = "list(table_terms=z$table, table_columns=z1$table)",
  note = NULL,
  packages = c("survival"))

record("zph_gbsg_km", "survival::gbsg",
  prep = "d <- survival::gbsg",
  call = "f <- coxph(Surv(rfstime,status)~age+size+factor(grade)+nodes+log1p(pgr)+hormon, data=d)\nz <- cox.zph(f)",
  read_off = "list(table=z$table)",
  note = NULL,
  packages = c("survival"))

record("zph_lung_breslow_km", "survival::lung",
  prep = "d <- survival::lung",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d, ties='breslow')\nz <- cox.zph(f, transform='km')",
  read_off = "list(table=z$table)",
  note = NULL,
  packages = c("survival"))

record("zph_lung_GT1994_identity_km", "survival::lung",
  prep = "d <- subset(survival::lung,!is.na(ph.ecog))\ngt <- function(f,gt){ r <- resid(f,'scaledsch'); r0 <- resid(f,'schoenfeld'); V <- vcov(f); nd <- sum(f$nevent); tt <- as.numeric(dimnames(as.matrix(r0))[[1]]); x <- gt(tt); xx <- x-mean(x); r2 <- as.matrix(r0)%*%V*nd; test <- as.vector(xx%*%r2); chi <- test^2/(diag(V)*nd*sum(xx^2)); glob <- as.vector(xx%*%as.matrix(r0)); g <- c(glob%*%V%*%glob)*nd/sum(xx^2); rho <- as.vector(cor(xx,r2)); data.frame(term=c(names(coef(f)),'GLOBAL'),rho=c(rho,NA),chisq=c(chi,g),df=c(rep(1,length(chi)),length(chi)),p=pchisq(c(chi,g),c(rep(1,length(chi)),length(chi)),lower.tail=FALSE)) }",
  call = "f <- coxph(Surv(time,status==2)~age+sex+ph.ecog, data=d)\nkm <- survfit(Surv(time,status==2)~1,data=d)\nkmf <- function(tt) {S <- c(1,km$surv)[findInterval(tt,km$time,left.open=TRUE)+1]; 1-S}\na <- gt(f,identity); b <- gt(f,kmf)",
  read_off = "list(identity=a, km=b)",
  note = "hand-coded old (survival<3.0) Grambsch-Therneau 1994 approximation, the one lifelines.statistics.proportional_hazard_test computes; km transform = 1-S(t-)",
  packages = c("survival"))

finish("expected/proportional_hazards.json", "Proportional hazards tests", "proportional_hazards.R")
