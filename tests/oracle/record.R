# Runs the R text of each record, keeps what it read off, and writes all of it as JSON.
suppressPackageStartupMessages({library(survival); library(jsonlite)})
options(warn = 1, stringsAsFactors = FALSE)
records <- list()

plain <- function(x) if (is.null(x)) NULL else I(as.vector(unclass(if (is.factor(x)) as.character(x) else x)))

to_json <- function(x) {
  if (is.null(x)) return(NULL)
  if (is.factor(x)) x <- setNames(as.character(x), names(x))
  if (is.data.frame(x)) {
    out <- lapply(as.list(x), function(column) to_json(plain(column)))
    if (!identical(rownames(x), as.character(seq_len(nrow(x))))) out <- c(list(row = plain(rownames(x))), out)
    return(out)
  }
  if (is.matrix(x)) return(list(rownames = plain(rownames(x)), colnames = plain(colnames(x)), values = unname(unclass(x))))
  if (is.list(x)) return(lapply(x, to_json))
  if (is.numeric(x) || is.character(x) || is.logical(x)) {
    kept <- inherits(x, "AsIs"); names_of_x <- names(x); x <- unclass(x)
    if (!is.null(names_of_x) && !kept) return(as.list(setNames(as.vector(x), names_of_x)))
    return(if (length(x) > 1 || kept) I(as.vector(x)) else as.vector(x))
  }
  as.character(x)
}

record <- function(id, data, prep, call, read_off, note = NULL, packages = "survival") {
  for (p in packages) suppressPackageStartupMessages(library(p, character.only = TRUE))
  env <- new.env(parent = globalenv())
  for (text in c(prep, call)) eval(parse(text = text), env)
  result <- eval(parse(text = read_off), env)
  lines <- function(text) strsplit(text, "\n")[[1]]
  versions <- as.list(setNames(sapply(packages, function(p) as.character(packageVersion(p))), packages))
  records[[length(records) + 1]] <<- list(id = id, data = data, prep = I(lines(prep)), call = I(lines(call)),
    read_off = I(lines(read_off)), note = note, packages = versions, result = to_json(result))
}

finish <- function(file, title, script) {
  out <- list(title = title, r_version = R.version.string, platform = R.version$platform, script = script, records = records)
  write(toJSON(out, digits = NA, auto_unbox = TRUE, na = "null", null = "null", pretty = TRUE), file)
}

# What the records read off.
km_at <- function(fit, times) {
  s <- summary(fit, times = times, extend = TRUE)
  data.frame(strata = if (is.null(s$strata)) "all" else as.character(s$strata), time = s$time, n_risk = s$n.risk,
             surv = s$surv, std_err = s$std.err, lower = s$lower, upper = s$upper)
}
quant <- function(fit, p = c(.25, .5, .75)) {
  q <- quantile(fit, probs = p)
  list(probs = I(p), quantile = q$quantile, lower = q$lower, upper = q$upper)
}
cox_out <- function(f) {
  s <- summary(f)
  list(n = f$n, nevent = f$nevent, coefficients = s$coefficients, conf_int_hr = s$conf.int, loglik = I(f$loglik),
       var = f$var, naive_var = f$naive.var, wald = s$waldtest, score = s$sctest, lrt = s$logtest,
       robust_score = s$robscore, concordance = s$concordance, iter = f$iter)
}
