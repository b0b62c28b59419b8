//! `alveary batch`: commands from a file, one a line, as bpftool's users write them.

use crate::{
    arguments::Arguments,
    bpftool::{
        command_line,
        json::{Json, Verbatim},
        options::{Options, Shape},
        usage,
        words::Words,
    },
    failure::Failure,
    output,
};
use clap::Args;
use std::{
    ffi::OsString,
    fs,
    io::{self, Read},
    path::Path,
};

/// Run commands from a file: one a line, each verb down to its first letter, `#` begins a comment
///
/// Ends at the first that fails. With -j or -p the result is a list of commands and their output.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary batch file commands.txt
  echo 'map show name services' | alveary batch file -")]
pub(crate) struct Batch {
    /// `file FILE`, or `file -` for what is piped in
    #[arg(value_name = "file FILE", required = true)]
    words: Vec<String>,

    #[command(flatten)]
    options: Options,
}

impl Batch {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        if !words.is("file") {
            return Err(words.unexpected("`file FILE`"));
        }
        let text = read(Path::new(words.must("a file, or `-`")?))?;
        words.end()?;
        let commands = commands(&text)?;
        match self.options.shape(json) {
            Shape::Text => {
                commands.iter().try_for_each(|command| one(command, &[]))?;
                output::write(|out| writeln!(out, "processed {} commands", commands.len()))
            }
            Shape::Json { pretty } => {
                let option = if pretty { "-p" } else { "-j" };
                let mut wrong = None;
                output::write(|out| {
                    Json::new(&mut *out, pretty).array(|json| {
                        commands.iter().try_for_each(|command| {
                            if wrong.is_none() {
                                wrong = told(command, option, json)?.err();
                            }
                            Ok(())
                        })
                    })?;
                    writeln!(out)
                })?;
                wrong.map_or(Ok(()), Err)
            }
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => io::stdin().read_to_string(&mut text).map(drop),
        _ => fs::read_to_string(path).map(|read| text = read),
    };
    read.map_err(|why| Failure::file("read", path, &why))?;
    Ok(text)
}

/// Runs a command.
fn one(command: &[String], options: &[&str]) -> Result<(), Failure> {
    let name = ["bpftool"].into_iter().chain(options.iter().copied()).map(OsString::from);
    let line = command_line::ours(name.chain(command.iter().map(OsString::from)));
    match Arguments::read(&line) {
        Ok(Arguments { verb, json }) => verb.run(json),
        Err(why) => {
            let told = why.to_string();
            let first = told.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(usage(format!("`{}` is no command: {first}", command.join(" "))).into())
        }
    }
}

/// A command and its output as an object; what the command did.
fn told(command: &[String], option: &str, json: &mut Json<'_>) -> io::Result<Result<(), Failure>> {
    let (bytes, done) = output::capture(|| one(command, &[option]));
    let text = String::from_utf8_lossy(&bytes);
    // It stands two levels deep.
    let text = text.trim_end().replace('\n', "\n        ");
    json.object(|json| {
        json.list("command", command)?;
        json.name("output")?;
        json.value(Verbatim(format_args!("{}", if text.is_empty() { "null" } else { &text })))
    })?;
    Ok(done)
}

/// The words of each command.
fn commands(text: &str) -> Result<Vec<Vec<String>>, Failure> {
    let mut commands = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = uncommented(line).to_owned();
        while line.ends_with('\\') {
            line.pop();
            let Some(next) = lines.next() else {
                return Err(usage(format!("`{line}` goes on, but the file ends")).expected("another line").into());
            };
            line.push_str(uncommented(next));
        }
        let words = words(&line)?;
        if !words.is_empty() {
            commands.push(words);
        }
    }
    Ok(commands)
}

fn uncommented(line: &str) -> &str {
    line.split('#').next().unwrap_or_default()
}

/// Words are separated by blanks; one that begins with a quote goes to the next such.
fn words(line: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = matches!(first, '\'' | '"');
        let (word, behind) = if quoted {
            let ended = rest[1..].split_once(first);
            ended
                .ok_or_else(|| usage(format!("a quoted text does not end: `{rest}`")).expected(format!("`{first}`")))?
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands() {
        let text = "# first\nmap show  # all\n\nmap dump \\\n  pinned '/a b' \"c\"\n";
        let found = commands(text).expect("it is sound");
        assert_eq!(found, [vec!["map", "show"], vec!["map", "dump", "pinned", "/a b", "c"]]);
        assert!(commands("map show 'x").is_err() && commands("map \\").is_err());
    }
}
