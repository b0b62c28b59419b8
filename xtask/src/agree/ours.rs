//! Our own verdict.

use super::verdict::{Outcome, Verdict, message};
use alveary_spec::{Kernel, Program, Resolved};
use alveary_verifier::{Env, LogLevel, Report, check};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

/// The verdict.
pub(crate) fn judge(program: &Arc<Program>, resolved: &Resolved, kernel: &Kernel) -> Verdict {
    let start = Instant::now();
    let report = checked(program, resolved, kernel, LogLevel::default());
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
        },
        Err(panicked) => Verdict::none(panicked),
    }
}

/// The log at level 2.
pub(crate) fn log(program: &Arc<Program>, resolved: &Resolved, kernel: &Kernel) -> String {
    checked(program, resolved, kernel, LogLevel::ALL).map_or_else(|panicked| panicked, |report| report.log)
}

/// A panic is a fault of ours that shall not hide those of other programs.
fn checked(program: &Arc<Program>, resolved: &Resolved, kernel: &Kernel, log: LogLevel) -> Result<Report, String> {
    let env = Env { log, ..Env::new(kernel, &resolved.maps) };
    catch_unwind(AssertUnwindSafe(|| check(program, &env))).map_err(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
        format!("panicked: {}", text.unwrap_or_default())
    })
}
