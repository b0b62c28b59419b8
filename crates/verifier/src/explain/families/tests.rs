//! Every message that the verifier prints belongs to a family, but for those that are named here.

use super::find;
use std::{fs, path::Path};

/// Said where nothing can be explained beyond the message itself: what no program that comes from a compiler does.
const ALONE: &[&str] = &[
    "invalid insn idx ",
    "kernel subsystem misconfigured verifier",
    "get_local_storage() doesn't support non-zero flags",
    "fd_idx without fd_array is invalid",
    "timer pointer in R1 map_uid=",
    "invalid map_ptr to access map->",
    "invalid arg_type for sockmap",
];

/// Parts of messages whose other parts name the family, and those whose words come from values.
const PARTS: &[&str] = &[
    "R{regno} is not a scalar",
    "invalid access to map key",
    "invalid access to map value",
    "invalid access to packet",
    "invalid access to memory",
    "invalid {} access",
    "only read from {name}",
    "BPF_ATOMIC {does}",
    "cannot update sockmap",
    "Unreleased reference",
    "{when} the register",
    " unknown scalar value",
    "invalid{kind} stack",
];

/// What is said in a source file: the strings of `reject!` and `say`, with nothing where values stand.
fn messages(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in source.split("reject!(").skip(1).chain(source.split(".say(format_args!(").skip(1)) {
        let Some((start, rest)) = call.find('"').map(|at| (at, &call[at + 1..])) else { continue };
        if call[..start].contains(')') || call[..start].contains(';') {
            continue;
        }
        let text = rest.split('"').next().unwrap_or_default();
        found.push(text.replace("\\n", "\n"));
    }
    found
}

fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("explain") {
            sources(&path, all);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            all.push_str(&fs::read_to_string(&path).expect("the source can be read"));
        }
    }
}

#[test]
fn messages_have_families() {
    let mut source = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut source);
    let all = messages(&source);
    assert!(all.len() > 150, "the messages are found: {}", all.len());
    let alone: Vec<_> = all
        .iter()
        .filter(|message| message.len() > 12 && find(message).is_none())
        .filter(|message| !ALONE.iter().chain(PARTS).any(|known| message.contains(known)))
        .collect();
    assert!(alone.is_empty(), "messages without a family: {alone:#?}");
}
