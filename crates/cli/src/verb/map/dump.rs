//! `alveary map dump`: all elements of maps.

use super::{
    entry::{Elements, Sink},
    walk::walk,
};
use crate::{
    bpftool::{
        json::Json,
        options::{Options, Shape},
        select,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_abi::Profile;
use clap::Args;
use std::io::{self, Write};

/// Print all elements of maps: by their types if they have some, else as bytes
#[derive(Debug, Args)]
pub(super) struct Dump {
    /// `id ID`, `name NAME` or `pinned FILE`
    #[arg(value_name = "MAP", required = true)]
    words: Vec<String>,
}

impl Dump {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let maps = select::maps(&mut words)?.into_iter().map(Elements::of).collect::<Result<Vec<_>, _>>()?;
        words.end()?;
        let mut wrong = None;
        output::bare(|out| {
            let done = match options.shape(json) {
                Shape::Json { pretty } => all(&maps, &mut Json::new(&mut *out, pretty), false),
                // Values with types are JSON for people, too: names are what makes them readable.
                Shape::Text if maps.iter().all(Elements::typed) => all(&maps, &mut Json::new(&mut *out, true), true),
                Shape::Text => return plain(&maps, out, &mut wrong),
            };
            wrong = done?;
            writeln!(out)
        })?;
        wrong.map_or(Ok(()), Err)
    }
}

/// What went wrong on the way, behind what was printed: the output stays whole.
type Wrong = Option<Failure>;

/// The maps as JSON: the elements of one, or a list of maps. `plain` is for people.
fn all(maps: &[Elements], json: &mut Json<'_>, plain: bool) -> io::Result<Wrong> {
    let [map] = maps else {
        let mut wrong = None;
        json.array(|json| {
            maps.iter().try_for_each(|map| {
                json.object(|json| {
                    header(map, json)?;
                    json.name("elements")?;
                    wrong = elements(map, json, plain)?;
                    Ok(())
                })
            })
        })?;
        return Ok(wrong);
    };
    elements(map, json, plain)
}

fn header(map: &Elements, json: &mut Json<'_>) -> io::Result<()> {
    let info = &map.info;
    json.field("id", info.id)?;
    match Profile::linux_6_18().map_type(info.ty) {
        Some(row) => json.field("type", row.name)?,
        None => json.field("type", info.ty.0)?,
    }
    if !info.name.is_empty() {
        json.field("name", &info.name)?;
    }
    json.field("flags", info.map_flags as i32)
}

fn elements(map: &Elements, json: &mut Json<'_>, plain: bool) -> io::Result<Wrong> {
    let mut wrong = None;
    json.array(|json| {
        let walked = walk(map, |key, value| {
            Ok(match value {
                Ok(value) if plain => map.formatted(key, value, true, json),
                Ok(value) => map.json(key, value, json),
                Err(why) => map.unreadable(key, why, Sink::Json(json)),
            }?)
        });
        settle(walked, &mut wrong)
    })?;
    Ok(wrong)
}

fn plain(maps: &[Elements], out: &mut dyn Write, wrong: &mut Wrong) -> io::Result<()> {
    for (i, map) in maps.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        if maps.len() > 1 {
            let info = &map.info;
            let profile = Profile::linux_6_18();
            let ty = profile.map_type(info.ty).map_or_else(|| format!("type {}", info.ty.0), |row| row.name.to_owned());
            let name = if info.name.is_empty() { String::new() } else { format!("name {}  ", info.name) };
            writeln!(out, "{}: {ty}  {name}flags {:#x}", info.id, info.map_flags)?;
        }
        let mut count = 0u64;
        let walked = walk(map, |key, value| {
            Ok(match value {
                Ok(value) => {
                    count += 1;
                    map.text(key, value, out)
                }
                Err(why) => map.unreadable(key, why, Sink::Text(out)),
            }?)
        });
        settle(walked, wrong)?;
        writeln!(out, "Found {count} element{}", if count == 1 { "" } else { "s" })?;
    }
    Ok(())
}

/// Keeps what the kernel said for the end; a reader that has gone away ends it at once.
fn settle(walked: Result<(), Failure>, wrong: &mut Wrong) -> io::Result<()> {
    match walked {
        Err(Failure::ReaderGone) => Err(io::ErrorKind::BrokenPipe.into()),
        Err(why) => {
            *wrong = Some(why);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
