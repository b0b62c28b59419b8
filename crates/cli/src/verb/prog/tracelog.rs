//! `alveary prog tracelog`: what programs print.

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
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::{self, Stream};
use clap::Args;
use rustix::fs::statfs;
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Show what programs print: the kernel's trace pipe until Ctrl-C, or the streams of one program
///
/// The trace pipe (`bpf_trace_printk`) is one for all: a line that is read here is read by nobody else. A program's own
/// streams (Linux 6.17) are shown as far as they are filled.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary prog tracelog
  alveary prog tracelog instance mine
  alveary prog tracelog stderr name filter")]
pub(super) struct Tracelog {
    /// `stdout` or `stderr` and a program (`id ID`, `name NAME`, `tag TAG` or `pinned FILE`); `instance NAME` of tracefs;
    /// nothing: the trace pipe
    #[arg(value_name = "WORD")]
    words: Vec<String>,
}

/// `TRACEFS_MAGIC`.
const MAGIC: u64 = 0x7472_6163;
/// Where tracefs is, if it is where it usually is.
const USUAL: [&str; 4] = ["/sys/kernel/debug/tracing", "/sys/kernel/tracing", "/tracing", "/trace"];
/// Bytes of a stream that are read at once.
const CHUNK: usize = 4096;

impl Tracelog {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let mut words = Words::new(&self.words);
        let stream = if words.is("stdout") {
            Some(Stream::Stdout)
        } else if words.is("stderr") {
            Some(Stream::Stderr)
        } else {
            None
        };
        if let Some(stream) = stream {
            let program = select::prog(&mut words)?;
            words.end()?;
            let said = said(&program, stream)?;
            return lines(&mut &*said, shape).map(drop);
        }
        let mut path = tracefs()?;
        if words.is("instance") {
            path = path.join("instances").join(words.must("the name of an instance")?);
        }
        words.end()?;
        path.push("trace_pipe");
        let pipe = File::open(&path).map_err(|why| Failure::file("read", &path, &why))?;
        let mut wrong = lines(&mut BufReader::new(pipe), shape)?;
        // The pipe has no end.
        let why = wrong.take().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
        Err(Failure::file("read", &path, &why))
    }
}

/// Everything that a program has said, taken from the kernel.
fn said(program: &OwnedFd, stream: Stream) -> Result<Vec<u8>, Failure> {
    let (mut all, mut chunk) = (Vec::new(), [0; CHUNK]);
    loop {
        match sys::stream_read(program.as_fd(), stream, &mut chunk)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&chunk[..count]),
        }
    }
}

/// Shows lines as they come; gives what was wrong with reading, if not the end was reached.
fn lines(from: &mut dyn BufRead, shape: Shape) -> Result<Option<io::Error>, Failure> {
    let (mut line, mut wrong) = (Vec::new(), None);
    let mut next = |each: &mut dyn FnMut(&str) -> io::Result<()>| loop {
        line.clear();
        match from.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(()),
            Ok(_) => each(&String::from_utf8_lossy(&line))?,
            Err(why) => {
                wrong = Some(why);
                return Ok(());
            }
        }
    };
    output::write(|out| {
        // What is written is seen at once: the next line may be long in coming.
        match shape {
            Shape::Text => next(&mut |line| {
                out.write_all(line.as_bytes())?;
                out.flush()
            }),
            Shape::Json { pretty } => {
                Json::new(&mut *out, pretty).array(|json| {
                    json.flush()?;
                    next(&mut |line| {
                        json.value(line)?;
                        json.flush()
                    })
                })?;
                writeln!(out)
            }
        }
    })?;
    Ok(wrong)
}

/// Where tracefs is mounted.
fn tracefs() -> Result<PathBuf, Failure> {
    let is_tracefs = |path: &Path| statfs(path).is_ok_and(|found| found.f_type as u64 == MAGIC);
    if let Some(usual) = USUAL.iter().map(Path::new).find(|path| is_tracefs(path)) {
        return Ok(usual.to_owned());
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (at, kind) = (fields.next()?, fields.next()?);
        (kind == "tracefs").then(|| PathBuf::from(at))
    });
    mounted.ok_or_else(|| {
        Diagnostic::new("tracefs", "tracefs is not mounted, or not to be seen", Place::Nowhere)
            .help("`mount -t tracefs tracefs /sys/kernel/tracing` mounts it; both take root")
            .into()
    })
}
