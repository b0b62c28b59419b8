//! A message as rustc draws it: what, where with the source line, then what was expected, found, and what helps.

use super::{Scene, source};
use alveary_diag::{Diagnostic, Label, Place, SourceLine};
use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Origin, Renderer, Snippet, renderer::DecorStyle};
use std::ops::Range;

/// Draws one message.
pub(super) fn draw(message: &Diagnostic, scene: &dyn Scene, colour: bool) -> String {
    let mut group = Level::ERROR.primary_title(&*message.message).id(message.code.0).elements(places(message, scene));
    for (name, text) in remarks(message) {
        group = group.element(level(name).message(text));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

/// What stands below the picture: facts first, advice last.
fn remarks(message: &Diagnostic) -> Vec<(&'static str, &str)> {
    let mut all = Vec::new();
    all.extend(message.expected.as_deref().map(|t| ("expected", t)));
    all.extend(message.found.as_deref().map(|t| ("found", t)));
    all.extend(message.notes.iter().map(|t| ("note", &**t)));
    all.extend(message.kernel.as_deref().map(|t| ("kernel", t)));
    all.extend(message.help.iter().map(|t| ("help", &**t)));
    all
}

fn level(name: &'static str) -> Level<'static> {
    match name {
        "help" => Level::HELP,
        "note" => Level::NOTE,
        other => Level::NOTE.with_name(other),
    }
}

/// One element a place; the labels on one text share its picture.
fn places<'a>(message: &'a Diagnostic, scene: &dyn Scene) -> Vec<Element<'a>> {
    let mut elements = Vec::new();
    let mut texts: Vec<(&str, &str, Vec<Annotation<'a>>)> = Vec::new();
    for label in &message.labels {
        match &label.at {
            Place::Text { file, text, bytes } => {
                let mark = kind(label).span(inside(text, bytes)).label(&*label.text);
                match texts.iter_mut().find(|t| (t.0, t.1) == (&**file, &**text)) {
                    Some(known) => known.2.push(mark),
                    None => texts.push((file, text, vec![mark])),
                }
            }
            Place::Insn { prog, index } => elements.push(instruction(message, label, prog, *index, scene)),
            Place::Section { section, at } => {
                elements.push(named(message, &format!("section {section}, offset {at:#x}"), label));
            }
            Place::Byte { at } => elements.push(named(message, &format!("offset {at:#x}"), label)),
            Place::BtfType { id } => elements.push(named(message, &format!("BTF type {id}"), label)),
            Place::Nowhere => elements.extend(message.file.as_deref().map(|f| Element::from(Origin::path(f)))),
        }
    }
    let texts = texts.into_iter().map(|(file, text, marks)| Snippet::source(text).path(file).annotations(marks).into());
    texts.chain(elements).collect()
}

/// A place that has a name but no text.
fn named<'a>(message: &Diagnostic, place: &str, label: &Label) -> Element<'a> {
    Origin::path(format!("{}{place}{}", of_file(message), remark(label))).into()
}

/// An instruction: on its source line if the compiler left one, and as the disassembler writes it.
fn instruction<'a>(message: &Diagnostic, label: &Label, prog: &str, index: u32, scene: &dyn Scene) -> Element<'a> {
    let code = scene.instruction(&label.at).map(|c| format!(": {c}")).unwrap_or_default();
    let name = format!("{prog}, instruction {index}{code}");
    match source(label, scene).filter(|s| !s.text.trim().is_empty()) {
        Some(source) => Snippet::source(source.text.to_string())
            .line_start(source.line as usize)
            .path(source.file.to_string())
            .annotation(kind(label).span(token(&source)).label(name + &remark(label)))
            .into(),
        None => named(message, &name, label),
    }
}

fn remark(label: &Label) -> String {
    if label.text.is_empty() { String::new() } else { format!(": {}", label.text) }
}

fn of_file(message: &Diagnostic) -> String {
    message.file.as_deref().map(|f| format!("{f}: ")).unwrap_or_default()
}

fn kind(label: &Label) -> AnnotationKind {
    if label.primary { AnnotationKind::Primary } else { AnnotationKind::Context }
}

/// The range, cut to what the text has and to whole characters: a message must never be the next error.
fn inside(text: &str, bytes: &Range<u32>) -> Range<usize> {
    let boundary = |at: u32| (0..=(at as usize).min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let start = boundary(bytes.start);
    start..boundary(bytes.end).max(start)
}

/// The word or sign that begins at the column of a source line; the whole line if the column says nothing.
fn token(line: &SourceLine) -> Range<usize> {
    let text = &*line.text;
    let whole = text.len() - text.trim_start().len()..text.trim_end().len();
    let Some(start) = (line.column as usize).checked_sub(1).filter(|c| whole.contains(c) && text.is_char_boundary(*c))
    else {
        return whole;
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let rest = &text[start..];
    let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    start..start + word.max(rest.chars().next().map_or(0, char::len_utf8))
}
