//! Errors as a person or a program reads them: the one place that turns a [`Diagnostic`] into text.

pub(crate) mod explained;
mod json;
mod picture;
mod span;
#[cfg(test)]
mod tests;

use crate::failure::Failure;
use alveary_diag::{Diagnostic, Label, Place, SourceLine, Sources};
use explained::Picture;
use std::{
    io::{self, Write},
    sync::Arc,
};

/// What is known of places beyond their names.
pub(crate) trait Scene: Sources + Send {
    /// The instruction at a place, disassembled.
    fn instruction(&self, at: &Place) -> Option<String>;
}

/// A scene of which nothing is known.
pub(crate) struct Nothing;

impl Sources for Nothing {
    fn source(&self, _: &Place) -> Option<SourceLine> {
        None
    }
}

impl Scene for Nothing {
    fn instruction(&self, _: &Place) -> Option<String> {
        None
    }
}

/// The source line of a place, from the scene or from the message itself.
fn source(label: &Label, scene: &dyn Scene) -> Option<SourceLine> {
    scene.source(&label.at).or_else(|| label.source.clone())
}

/// Messages of one failure that are shown: nobody reads more, and each looks for its place in the whole text.
const MOST: usize = 100;

/// Prints a failure on stderr.
pub(crate) fn report(failure: &Failure, json: bool) {
    let Failure::Wrong { diagnostics, scene, kind } = failure else { return };
    let shown = &diagnostics[..diagnostics.len().min(MOST)];
    let more = diagnostics.len() - shown.len();
    print(&if json { json::object(shown, more, &**scene, *kind) } else { text(shown, more, &**scene) });
}

/// Prints an error in the command line as JSON.
pub(crate) fn report_usage(message: &str) {
    print(&json::usage(message));
}

/// Messages as they are drawn on stderr, and how many there are besides.
fn text(diagnostics: &[Diagnostic], more: usize, scene: &dyn Scene) -> String {
    let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let mut pictures: Vec<_> = diagnostics.iter().map(|d| draw(d, scene, colour)).collect();
    if more > 0 {
        pictures.push(format!("… and {more} more of them"));
    }
    pictures.join("\n\n")
}

/// Draws one message; what the verifier explains, as `check` does.
fn draw(message: &Diagnostic, scene: &dyn Scene, colour: bool) -> String {
    if message.facts.is_empty() {
        return picture::draw(message, scene, colour);
    }
    let mut message = message.clone();
    let mut program = Arc::from("");
    for label in &mut message.labels {
        label.source = source(label, scene);
        if let Place::Insn { prog, .. } = &label.at {
            program = prog.clone();
        }
    }
    let code: Vec<_> = message.labels.iter().map(|label| scene.instruction(&label.at)).collect();
    let (file, width) = (message.file.as_deref().unwrap_or_default(), explained::terminal_width(io::stderr()));
    let drawn = Picture { message: &message, file, program: &program, code: &code, width }.draw();
    if colour { drawn } else { anstream::adapter::strip_str(&drawn).to_string() }
}

/// One write, so that what other processes print does not land in the middle.
fn print(text: &str) {
    // A closed stderr is no reason to fail otherwise than we already do.
    io::stderr().write_all(format!("{text}\n").as_bytes()).ok();
}
