//! `alveary prog run`: runs a loaded program once, or often, on data from files.

use crate::{
    bpftool::{
        json::Json,
        options::{Options, Shape},
        select, usage,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::TestRun;
use clap::Args;
use std::{
    fs,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::Path,
};

/// Run a program on data from files, unattached
#[derive(Debug, Args)]
#[command(after_help = "What it is given, and where what it leaves goes:
  data_in FILE       the packet; `-` is stdin
  data_out FILE      where the packet goes; `-` is stdout
  data_size_out N    room for it (32768 bytes)
  ctx_in FILE        the context
  ctx_out FILE       where the context goes
  ctx_size_out N     room for it (32768 bytes)
  repeat N           how often, on its own output

Examples:
  alveary prog run name filter data_in packet.bin
  alveary prog run id 7 data_in - data_out - repeat 1000 < packet.bin")]
pub(super) struct Run {
    /// The program (`id ID`, `name NAME`, `tag TAG` or `pinned FILE`), then what it is given
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
}

/// Room for what comes back, if nobody says how much.
const ROOM: u32 = 32 << 10;
/// What stands for stdin and stdout.
const STANDARD: &str = "-";

/// A buffer that goes in and comes back: the packet or the context.
#[derive(Debug, Default)]
struct Side<'a> {
    input: Option<&'a str>,
    output: Option<&'a str>,
    room: u32,
}

#[derive(Debug)]
struct Wanted<'a> {
    data: Side<'a>,
    context: Side<'a>,
    repeat: u32,
}

impl Run {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let mut words = Words::new(&self.words);
        let program = select::prog(&mut words)?;
        let wanted = Wanted::read(&mut words)?;
        let (data, context) = (wanted.data.bytes()?, wanted.context.bytes()?);
        let (mut data_out, mut context_out) = (wanted.data.buffer(), wanted.context.buffer());
        let run = TestRun {
            data: &data,
            data_out: &mut data_out,
            context,
            context_out: &mut context_out,
            repeat: wanted.repeat,
            ..TestRun::default()
        };
        let done = run.run(program.as_fd())?;
        if done.truncated {
            let why = Diagnostic::new("room", "what the program left has no room", Place::Nowhere)
                .expected(format!("{} bytes of data, {} of context", done.data, done.context))
                .found(format!("room for {} and {}", data_out.len(), context_out.len()));
            return Err(why.help("the program has run; say `data_size_out` or `ctx_size_out`").into());
        }
        data_out.truncate(done.data);
        context_out.truncate(done.context);
        let sides = [("data_out", &wanted.data, &data_out), ("ctx_out", &wanted.context, &context_out)];
        // Files first: what is wrong with one does not keep the others from being told.
        let mut wrong = None;
        for (_, side, bytes) in sides {
            if let Some(file) = side.output.filter(|file| *file != STANDARD && !bytes.is_empty()) {
                let path = Path::new(file);
                wrong = wrong.or(fs::write(path, bytes).map_err(|why| Failure::file("write", path, &why)).err());
            }
        }
        let shown = sides.into_iter().filter(|(_, side, bytes)| side.output == Some(STANDARD) && !bytes.is_empty());
        output::write(|out| match shape {
            Shape::Text => {
                for (_, _, bytes) in shown {
                    table(bytes, out)?;
                }
                let average = if wanted.repeat > 1 { " (average)" } else { "" };
                writeln!(out, "Return value: {}, duration{average}: {}ns", done.retval, done.duration)
            }
            Shape::Json { pretty } => {
                Json::new(out, pretty).object(|json| {
                    for (name, _, bytes) in shown {
                        json.list(name, bytes.iter().copied())?;
                    }
                    json.field("retval", done.retval)?;
                    json.field("duration", done.duration)
                })?;
                writeln!(out)
            }
        })?;
        wrong.map_or(Ok(()), Err)
    }
}

impl<'a> Wanted<'a> {
    fn read(words: &mut Words<'a>) -> Result<Wanted<'a>, Failure> {
        const KNOWN: [&str; 7] =
            ["data_in", "data_out", "data_size_out", "ctx_in", "ctx_out", "ctx_size_out", "repeat"];
        let mut wanted = Wanted { data: Side::default(), context: Side::default(), repeat: 1 };
        while let Some(word) = words.peek() {
            let meant: Vec<&str> = KNOWN.into_iter().filter(|known| known.starts_with(word)).collect();
            let [meant] = *meant else {
                let known = KNOWN.map(|known| format!("`{known}`")).join(", ");
                return Err(words.unexpected(&format!("one of {known}")));
            };
            words.take();
            match meant {
                "data_in" => wanted.data.input = Some(words.must("a file")?),
                "data_out" => wanted.data.output = Some(words.must("a file")?),
                "data_size_out" => wanted.data.room = words.number("a number of bytes")?,
                "ctx_in" => wanted.context.input = Some(words.must("a file")?),
                "ctx_out" => wanted.context.output = Some(words.must("a file")?),
                "ctx_size_out" => wanted.context.room = words.number("a number of bytes")?,
                _ => wanted.repeat = words.number("a number of runs")?,
            }
        }
        if wanted.data.input == Some(STANDARD) && wanted.context.input == Some(STANDARD) {
            return Err(usage("stdin cannot be both the packet and the context").into());
        }
        Ok(wanted)
    }
}

impl Side<'_> {
    /// What goes in.
    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let Some(file) = self.input else { return Ok(Vec::new()) };
        let read = |file| {
            if file == STANDARD {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            } else {
                fs::read(file)
            }
        };
        read(file).map_err(|why| Failure::file("read", Path::new(file), &why))
    }

    /// Room for what comes back: of what was not given, nothing does.
    fn buffer(&self) -> Vec<u8> {
        let room = if self.room == 0 { ROOM } else { self.room };
        vec![0; if self.input.is_some() { room as usize } else { 0 }]
    }
}

/// Bytes in hexadecimal, 16 a row, two by two, and as text beside them.
fn table(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    for (row, bytes) in bytes.chunks(16).enumerate() {
        write!(out, "{:07x}\t", row * 16)?;
        for column in 0..16 {
            match bytes.get(column) {
                Some(byte) => write!(out, "{byte:02x}")?,
                None => write!(out, "  ")?,
            }
            write!(out, "{}", if column % 2 == 1 { " " } else { "" })?;
        }
        write!(out, "| ")?;
        for (column, byte) in bytes.iter().enumerate() {
            let shown = if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
            write!(out, "{shown}{}", if column == 7 { " " } else { "" })?;
        }
        writeln!(out)?;
    }
    Ok(())
}
