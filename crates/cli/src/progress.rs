//! How far long work is: a bar on stderr, only on a terminal, and only when it takes a while.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Progress through a file.
pub(crate) struct Progress {
    since: Instant,
    total: Option<u64>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins work on `total` bytes, if that is known.
    pub(crate) fn new(total: Option<u64>) -> Self {
        Progress { since: Instant::now(), total, bar: None }
    }

    /// Says how many bytes and packets are done.
    pub(crate) fn at(&mut self, bytes: u64, packets: u64) {
        if self.bar.is_none() && self.since.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| bar(self.total));
        bar.set_position(bytes);
        bar.set_message(format!("{} packets", crate::table::grouped(packets)));
    }
}

/// The bar leaves no trace on the terminal.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Hidden where stderr is no terminal: indicatif looks for itself.
fn bar(total: Option<u64>) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let (bar, template) = match total {
        Some(total) => (ProgressBar::with_draw_target(Some(total), target), "{bar:30} {percent:>3} %  {msg}"),
        None => (ProgressBar::with_draw_target(None, target), "{spinner}  {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}
