//! A rejection in plain words: what is wrong, where the value came from, which check proved something and which did not,
//! what would help.
//!
//! The check is run once more with the steps of the rejected path recorded ([`Story`]); [`history`] goes back over them
//! from the operand that was rejected. Then the message's family words what was found. Knows nothing of rendering, and
//! says less where it is not sure: a wrong explanation is worse than none.
//!
//! | file | holds |
//! |---|---|
//! | `families` | which messages belong together, and who explains them |
//! | `story` | the recorded path, and what everyone asks of it |
//! | `history` | where a value came from, event by event |
//! | `number` | how a number came to have its range |
//! | `origin` | where a pointer came from |
//! | `draft` | the explanation while it is written |
//! | `words` | registers in plain words |
//! | `source` | names out of source lines |
//! | `way` | the path, in one line |
//! | the others | one family of messages each |

mod draft;
mod families;
mod history;
mod number;
mod origin;
mod source;
mod story;
mod way;
mod words;

use crate::{Env, Report, Verdict, engine::Replay, log::LogLevel, report::Rejection, stop::Check, verifier::Watch};
use alveary_diag::Diagnostic;
use alveary_spec::Program;
use draft::Draft;
use story::Story;

/// Explains why a program was rejected: `report` is what [`check`](crate::check) gave of the same program, checked for
/// the same. The message's places are instructions of the program, which knows their source lines.
///
/// `None` if it was not rejected.
#[must_use]
pub fn explain(program: &Program, env: &Env<'_>, report: &Report) -> Option<Diagnostic> {
    let Verdict::Reject(rejection) = &report.verdict else { return None };
    let env = Env { log: LogLevel::default(), ..*env };
    let mut verifier = crate::prepare(program, &env).ok()?;
    verifier.watch = Some(Watch::Replay(Replay::new(report.steps.clone())));
    // It ends as it ended before.
    let _: Check = crate::run(&mut verifier);
    let (cut, moments) = match verifier.watch.take() {
        Some(Watch::Replay(replay)) => (replay.is_cut(), replay.moments),
        _ => (false, Vec::new()),
    };
    let story = Story::new(&verifier, moments, cut, rejection);
    Some(tell(&story, rejection))
}

fn tell(story: &Story<'_>, rejection: &Rejection) -> Diagnostic {
    let mut draft = Draft::new(rejection.insn);
    families::explain(story, &mut draft);
    draft.finish(story, rejection)
}
