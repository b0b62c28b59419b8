//! A message as a program reads it.

use super::{Scene, source};
use alveary::Kind;
use alveary_diag::{Diagnostic, Label, Place, line_column};
use serde_json::{Value, json};

/// Messages as one object, with how many more there are, and the kind of error if the library names one.
pub(super) fn object(messages: &[Diagnostic], more: usize, scene: &dyn Scene, kind: Option<Kind>) -> String {
    let errors: Vec<_> = messages.iter().map(|m| error(m, scene)).collect();
    let mut object = json!({ "errors": errors });
    if more > 0 {
        object["more_errors"] = more.into();
    }
    if let Some(kind) = kind {
        object["kind"] = kind.name().into();
    }
    object.to_string()
}

/// An error in the command line, as clap worded it.
pub(super) fn usage(message: &str) -> String {
    json!({ "errors": [{ "code": "usage", "message": message.trim_end() }] }).to_string()
}

fn error(message: &Diagnostic, scene: &dyn Scene) -> Value {
    json!({
        "code": message.code.0,
        "message": message.message,
        "file": message.file,
        "places": message.labels.iter().filter_map(|l| place(l, scene)).collect::<Vec<_>>(),
        "expected": message.expected,
        "found": message.found,
        "notes": message.notes,
        "help": message.help,
        "kernel": message.kernel,
    })
}

fn place(label: &Label, scene: &dyn Scene) -> Option<Value> {
    let mut place = match &label.at {
        Place::Insn { prog, index } => {
            json!({ "program": prog, "insn": index, "code": scene.instruction(&label.at) })
        }
        Place::Section { section, at } => json!({ "section": section, "offset": at }),
        Place::Byte { at } => json!({ "offset": at }),
        Place::BtfType { id } => json!({ "btf_type": id }),
        Place::Text { file, text, bytes } => {
            let (line, column) = line_column(text, bytes.start);
            json!({ "file": file, "line": line, "column": column, "bytes": [bytes.start, bytes.end] })
        }
        Place::Nowhere => return None,
    };
    if let Some(source) = source(label, scene) {
        place["source"] =
            json!({ "file": source.file, "line": source.line, "column": source.column, "text": source.text });
    }
    place["primary"] = label.primary.into();
    if !label.text.is_empty() {
        place["label"] = (*label.text).into();
    }
    Some(place)
}
