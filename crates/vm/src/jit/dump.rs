//! Native code as a profiler reads it afterwards: its bytes, names and source lines, in a file for `perf inject --jit`
//! (tools/perf/Documentation/jitdump-specification.txt of Linux).

use super::NativeFunction;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};
use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::{fmt, process, ptr};

/// "JiTD", in the byte order of the machine.
const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER: u32 = 40;
/// What records begin with: what they are, their length, when they were written.
const PREFIX: usize = 16;
const CODE_LOAD: u32 = 0;
const CODE_DEBUG_INFO: u32 = 2;
const CODE_CLOSE: u32 = 3;
/// ELF's number of the machine.
const MACHINE: u32 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };

/// A file of native code in the making. While it is there, the process has the file mapped, which is how `perf record`
/// knows of it: it is to be created before what is profiled runs.
pub struct JitDump {
    path: PathBuf,
    file: BufWriter<File>,
    /// The mapping.
    marker: *mut c_void,
    /// When it was begun: what is written later counts from then on.
    begun: u64,
    written: u64,
}

/// Where machine code comes from: how far behind a function's start it begins, a file, a line.
pub type SourcePlace<'a> = (usize, &'a str, u32);

impl JitDump {
    /// Begins `jit-PID.dump` in a folder; what has that name there is replaced.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn create(folder: &Path) -> io::Result<JitDump> {
        let path = folder.join(format!("jit-{}.dump", process::id()));
        match std::fs::remove_file(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let begun = now();
        let words = [MAGIC, VERSION, HEADER, MACHINE, 0, process::id()].map(u32::to_ne_bytes);
        file.write_all(words.as_flattened())?;
        file.write_all([begun, 0].map(u64::to_ne_bytes).as_flattened())?;
        let rights = ProtFlags::READ | ProtFlags::EXEC;
        // SAFETY: a new mapping, wherever the system likes, which nobody reads or runs.
        let marker = unsafe { mmap(ptr::null_mut(), page_size(), rights, MapFlags::PRIVATE, &file, 0) };
        let marker = marker.map_err(|why| {
            // Nobody finds the code by what was not mapped as code: a file system that is mounted noexec.
            let _ = std::fs::remove_file(&path);
            io::Error::from(why)
        })?;
        Ok(JitDump { path, file: BufWriter::new(file), marker, begun, written: 0 })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a function: its name, its machine code, where that comes from.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn function(
        &mut self,
        function: &NativeFunction,
        name: &str,
        code: &[u8],
        lines: &[SourcePlace<'_>],
    ) -> io::Result<()> {
        if !lines.is_empty() {
            let mut body = [function.address, lines.len() as u64].map(u64::to_ne_bytes).as_flattened().to_vec();
            for &(at, file, line) in lines {
                body.extend((function.address + at as u64).to_ne_bytes());
                body.extend([line, 0].map(u32::to_ne_bytes).as_flattened());
                body.extend(file.bytes().filter(|byte| *byte != 0).chain([0]));
            }
            self.record(CODE_DEBUG_INFO, &body)?;
        }
        let mut body =
            [process::id(), gettid().as_raw_nonzero().get() as u32].map(u32::to_ne_bytes).as_flattened().to_vec();
        let words = [function.address, function.address, code.len() as u64, self.written];
        body.extend(words.map(u64::to_ne_bytes).as_flattened());
        body.extend(name.bytes().filter(|byte| *byte != 0).chain([0]));
        body.extend(code);
        self.written += 1;
        self.record(CODE_LOAD, &body)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn close(mut self) -> io::Result<()> {
        self.record(CODE_CLOSE, &[])?;
        self.file.flush()
    }

    fn record(&mut self, what: u32, body: &[u8]) -> io::Result<()> {
        let len = u32::try_from(PREFIX + body.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.file.write_all([what, len].map(u32::to_ne_bytes).as_flattened())?;
        self.file.write_all(&self.begun.to_ne_bytes())?;
        self.file.write_all(body)
    }
}

impl Drop for JitDump {
    fn drop(&mut self) {
        // SAFETY: the mapping that `create` made, of which nobody else knows. An error leaves it, which harms nobody.
        let _ = unsafe { munmap(self.marker, page_size()) };
    }
}

impl fmt::Debug for JitDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JitDump").field("path", &self.path).finish_non_exhaustive()
    }
}

/// By the clock of `perf record -k mono`.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
