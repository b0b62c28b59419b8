//! What is found out, in each of three shapes: text, macros of C, JSON.

use crate::bpftool::json::{Json, Verbatim};
use std::io::{self, Write};

/// Where it goes.
pub(super) enum Printer<'a, 'b> {
    Text(&'a mut dyn Write),
    /// With what stands in front of each name.
    Macros(&'a mut dyn Write, &'a str),
    Json(&'a mut Json<'b>),
}

/// What a part of the output is called in each shape.
pub(super) struct Section {
    pub(super) json: &'static str,
    pub(super) text: &'static str,
    pub(super) comment: &'static str,
}

impl Printer<'_, '_> {
    pub(super) fn macros(&self) -> bool {
        matches!(self, Printer::Macros(..))
    }

    /// A part of the output.
    pub(super) fn section(
        &mut self,
        section: &Section,
        inside: impl FnOnce(&mut Printer<'_, '_>) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Printer::Text(out) => {
                writeln!(out, "{}", section.text)?;
                inside(&mut Printer::Text(&mut **out))?;
                writeln!(out)
            }
            Printer::Macros(out, prefix) => {
                writeln!(out, "/*** {} ***/", section.comment)?;
                inside(&mut Printer::Macros(&mut **out, prefix))?;
                writeln!(out)
            }
            Printer::Json(json) => {
                json.name(section.json)?;
                json.object(|json| inside(&mut Printer::Json(json)))
            }
        }
    }

    /// Something that is there, or not: its name in JSON, in text, as a macro.
    pub(super) fn available(&mut self, json_name: &str, text: &str, define: &str, is: bool) -> io::Result<()> {
        match self {
            Printer::Text(out) => writeln!(out, "{text} is {}available", if is { "" } else { "NOT " }),
            Printer::Macros(out, prefix) => {
                writeln!(out, "#define {prefix}{}HAVE_{define}", if is { "" } else { "NO_" })
            }
            Printer::Json(json) => json.field(json_name, is),
        }
    }

    /// A setting: a number, and what it means.
    pub(super) fn number(&mut self, name: &str, value: i64, meaning: &str) -> io::Result<()> {
        match self {
            Printer::Text(out) => writeln!(out, "{meaning}"),
            Printer::Macros(..) => Ok(()),
            Printer::Json(json) => json.field(name, value),
        }
    }

    /// An option of the kernel's configuration.
    pub(super) fn option(&mut self, name: &str, value: Option<&str>) -> io::Result<()> {
        match (self, value) {
            (Printer::Text(out), Some(value)) => writeln!(out, "{name} is set to {value}"),
            (Printer::Text(out), None) => writeln!(out, "{name} is not set"),
            (Printer::Macros(out, prefix), Some(value)) => writeln!(out, "#define {prefix}{name} {value}"),
            (Printer::Macros(out, prefix), None) => writeln!(out, "/* {prefix}{name} is not set */"),
            (Printer::Json(json), None) => json.field(name, Verbatim(format_args!("null"))),
            (Printer::Json(json), Some(value)) => json.field(name, value),
        }
    }

    /// The helpers of a program type, each with whether it is there; `none` is said in text if no one is.
    pub(super) fn helpers(&mut self, ty: &str, helpers: &[(String, bool)], none: &str) -> io::Result<()> {
        let there = || helpers.iter().filter(|(_, is)| *is).map(|(name, _)| name);
        match self {
            Printer::Text(out) => {
                write!(out, "eBPF helpers supported for program type {ty}:")?;
                there().try_for_each(|name| write!(out, "\n\t- {name}"))?;
                writeln!(out)?;
                if there().next().is_none() { writeln!(out, "\t{none}") } else { Ok(()) }
            }
            Printer::Macros(out, prefix) => helpers.iter().try_for_each(|(name, is)| {
                writeln!(out, "#define {prefix}BPF__PROG_TYPE_{ty}__HELPER_{name} {}", u8::from(*is))
            }),
            Printer::Json(json) => json.list(&format!("{ty}_available_helpers"), there()),
        }
    }

    /// How the macros of helpers are used.
    pub(super) fn helper_macro(&mut self) -> io::Result<()> {
        let Printer::Macros(out, prefix) = self else { return Ok(()) };
        let name = format!("{prefix}HAVE_PROG_TYPE_HELPER");
        writeln!(out, "/* {name}(xdp, bpf_redirect) is 1 if XDP programs may call bpf_redirect. */")?;
        writeln!(out, "#define {name}(prog_type, helper) {prefix}BPF__PROG_TYPE_ ## prog_type ## __HELPER_ ## helper")
    }
}
