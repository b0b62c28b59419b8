//! A [`Report`] as a person reads it.

use super::report::{Map, Needs, Program, Report, Types};
use crate::table::{Align::Left, Align::Right, HEADING, Table, count, grouped, printable};
use std::io::{self, Write};

const INDENT: &str = "  ";

/// Writes all of it: one heading for each kind of thing that is there.
pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let license = match &*report.license {
        "" => "no licence".to_owned(),
        name => format!("licence {}", printable(name)),
    };
    writeln!(out, "{}: eBPF object, {} endian, {license}", printable(&report.file), report.endian)?;
    section("programs", &programs(&report.programs), report.programs.is_empty(), out)?;
    section("maps", &maps(&report.maps), report.maps.is_empty(), out)?;
    section("globals", &globals(report), report.globals.is_empty(), out)?;
    heading("btf", out)?;
    match &report.btf {
        Some(types) => btf(types, out)?,
        None => writeln!(out, "{INDENT}none")?,
    }
    if !report.needs.nothing() {
        heading("needs", out)?;
        needs(&report.needs, out)?;
    }
    Ok(())
}

fn heading(name: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{HEADING}{name}{HEADING:#}")
}

fn section(name: &str, table: &Table, empty: bool, out: &mut dyn Write) -> io::Result<()> {
    heading(name, out)?;
    if empty { writeln!(out, "{INDENT}none") } else { table.write(INDENT, out) }
}

fn programs(programs: &[Program]) -> Table {
    let mut table = Table::new([
        ("name", Left),
        ("type", Left),
        ("section", Left),
        ("attach type", Left),
        ("attach to", Left),
        ("insns", Right),
        ("subprograms", Left),
        ("", Left),
    ]);
    for program in programs {
        table.row([
            program.name.clone(),
            program.ty.unwrap_or("unknown").to_owned(),
            program.section.clone(),
            program.attach_type.unwrap_or_default().to_owned(),
            program.attach_to.clone().unwrap_or_default(),
            grouped(program.insns_total as u64),
            program.subprograms.join(", "),
            if program.autoload { String::new() } else { "not loaded unless asked for".to_owned() },
        ]);
    }
    table
}

fn maps(maps: &[Map]) -> Table {
    let mut table = Table::new([
        ("name", Left),
        ("type", Left),
        ("key", Left),
        ("value", Left),
        ("entries", Right),
        ("flags", Left),
        ("pinned", Left),
        ("holds", Left),
        ("section", Left),
    ]);
    for map in maps {
        table.row([
            map.name.clone(),
            map.ty.clone(),
            sized(map.key_size, map.key_type.as_deref()),
            sized(map.value_size, map.value_type.as_deref()),
            grouped(map.max_entries.into()),
            map.flags.join(", "),
            if map.pinned { "by name".to_owned() } else { String::new() },
            held(map),
            map.section.clone(),
        ]);
    }
    table
}

/// What a map of maps or programs holds: the template, and who stands in which slot.
fn held(map: &Map) -> String {
    let inner = map.inner.as_ref().map(|inner| {
        let (key, value) =
            (sized(inner.key_size, inner.key_type.as_deref()), sized(inner.value_size, inner.value_type.as_deref()));
        format!("{} of {key} to {value}, {}", inner.ty, grouped(inner.max_entries.into()))
    });
    let slots = map.initial.iter().enumerate().filter_map(|(slot, name)| Some(format!("{slot}: {}", name.as_ref()?)));
    inner.into_iter().chain(slots).collect::<Vec<_>>().join(", ")
}

/// A size in bytes and the name of its type.
fn sized(size: u32, ty: Option<&str>) -> String {
    match (size, ty) {
        (0, None) => String::new(),
        (_, None) => count(size.into(), "byte", "bytes"),
        (_, Some(ty)) => format!("{ty} ({size})"),
    }
}

fn globals(report: &Report) -> Table {
    let mut table = Table::new([("name", Left), ("type", Left), ("section", Left), ("size", Right), ("value", Left)]);
    for global in &report.globals {
        let (size, value) = (grouped(global.size.into()), global.value.clone());
        table.row([global.name.clone(), global.ty.clone(), global.section.clone(), size, value]);
    }
    table
}

fn btf(types: &Types, out: &mut dyn Write) -> io::Result<()> {
    let (number, bytes) = (count(types.types.into(), "type", "types"), count(types.bytes as u64, "byte", "bytes"));
    write!(out, "{INDENT}{number}, {bytes}, {}", count(types.lines as u64, "source line", "source lines"))?;
    if !types.sections.is_empty() {
        write!(out, "; data sections {}", printable(&types.sections.join(", ")))?;
    }
    writeln!(out)
}

fn needs(needs: &Needs, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |name: &str, items: Vec<&str>| {
        if items.is_empty() {
            return Ok(());
        }
        writeln!(out, "{INDENT}{HEADING}{name:<16}{HEADING:#}  {}", printable(&items.join(", ")))
    };
    line("helpers", needs.helpers.iter().map(String::as_str).collect())?;
    line("kernel functions", needs.kfuncs.iter().map(String::as_str).collect())?;
    line("externs", needs.externs.iter().map(String::as_str).collect())?;
    line("CO-RE", needs.core_relocations.iter().map(String::as_str).collect())
}
