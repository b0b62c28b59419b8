//! `cargo xtask bench --peers`: the engine beside native code, the running kernel and other engines. The tables go into
//! docs/performance.md between two marks, the picture into docs/engines.svg.

use crate::{
    Outcome,
    process::{self, cargo},
};
use std::fs;

const PAGE: &str = "docs/performance.md";
const PICTURE: &str = "docs/engines.svg";
const BEGIN: &str = "<!-- written by cargo xtask bench --peers -->\n";
const END: &str = "<!-- to here -->\n";

/// What is asked of the package `bench/`, in the order of the page.
const PARTS: [&[&str]; 3] = [&["--svg", PICTURE], &["--examples"], &["--costs"]];

/// Measures, and writes the page.
pub(crate) fn measure() -> Outcome {
    let mut parts = Vec::new();
    for arguments in PARTS {
        let run = ["run", "--release", "--quiet", "--package", "alveary-bench", "--features", "peers", "--"];
        let part = process::output(&mut cargo(&[&run[..], arguments].concat()))?;
        print!("{part}");
        parts.push(part);
    }
    let page = process::path(PAGE);
    let text = fs::read_to_string(&page).map_err(|error| format!("{PAGE}: {error}"))?;
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| format!("{PAGE}: no line {BEGIN:?}"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{PAGE}: no line {END:?}"))?;
    let written = format!("{before}{BEGIN}\n{}\n{END}{after}", parts.join("\n").trim_end());
    fs::write(&page, written).map_err(|error| format!("{PAGE}: {error}"))
}
