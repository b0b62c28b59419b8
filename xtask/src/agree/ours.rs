//! Our own verdict.

use super::verdict::{Outcome, Verdict, message};
use alveary_spec::Program;
use alveary_verifier::{Env, LogLevel, Report, check};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

/// The verdict.
pub(crate) fn judge(program: &Arc<Program>, env: &Env<'_>) -> Verdict {
    let start = Instant::now();
    let report = checked(program, env);
    let time = start.elapsed();
    match report {
        Ok(report) => Verdict {
            outcome: match report.verdict {
                alveary_verifier::Verdict::Accept => Outcome::Accept,
                alveary_verifier::Verdict::Reject(why) => Outcome::Reject(message(&why.message)),
                alveary_verifier::Verdict::Refused { reason, .. } => Outcome::None(format!("refused: {reason}")),
            },
            insns: Some(report.stats.insns_processed.into()),
            time: Some(time),
            memory: None,
        },
        Err(panicked) => Verdict::none(panicked),
    }
}

/// The log at level 2.
pub(crate) fn log(program: &Arc<Program>, env: &Env<'_>) -> String {
    checked(program, &Env { log: LogLevel::ALL, ..*env }).map_or_else(|panicked| panicked, |report| report.log)
}

/// A panic is a fault of ours that shall not hide those of other programs.
pub(super) fn checked(program: &Arc<Program>, env: &Env<'_>) -> Result<Report, String> {
    catch_unwind(AssertUnwindSafe(|| check(program, env))).map_err(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
        format!("panicked: {}", text.unwrap_or_default())
    })
}
