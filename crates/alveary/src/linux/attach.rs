//! Programs of an object to where they run.

use super::Linux;
use crate::{Error, Kind, Loaded, ProgramRef, Result};
use alveary_abi::ProgType;
use alveary_diag::{Diagnostic, Place as At};
use alveary_linux::{
    attach::{self, Link, Place, Program, UsdtMaps},
    sys::{self, IterTarget},
};
use std::{fs::File, os::fd::AsFd};

/// The map by which programs that include libbpf's `usdt.bpf.h` find a probe's arguments.
const USDT_SPECS: &str = "__bpf_usdt_specs";

impl Loaded<Linux> {
    /// Attaches a program to where its section says. The [`Link`] detaches it when it is dropped.
    ///
    /// ```no_run
    /// # fn main() -> alveary::Result<()> {
    /// use alveary::{Object, Target};
    /// let loaded = Object::open("trace.bpf.o")?.load(Target::linux())?;
    /// let link = loaded.attach("on_open")?; // SEC("tracepoint/syscalls/sys_enter_openat")
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::Attach`] if the section leaves something open, a device or a control group ([`Loaded::attach_to`] takes
    /// it), and what the kernel has against it.
    pub fn attach(&self, program: &str) -> Result<Link> {
        let program = self.program(program)?;
        let place = said_by_section(&program).map_err(failed)?;
        self.attach_to(program.spec().name.as_ref(), &place)
    }

    /// Attaches a program if it was loaded and its section says where; `None` if not.
    ///
    /// # Errors
    /// As for [`Loaded::attach`].
    pub fn attach_as_said(&self, program: &str) -> Result<Option<Link>> {
        let Ok(loaded) = self.program(program) else { return Ok(None) };
        match place_of(&loaded).map_err(failed)? {
            Some(place) => self.attach_to(program, &place).map(Some),
            None => Ok(None),
        }
    }

    /// Attaches a program to a place.
    ///
    /// # Errors
    /// [`Kind::Attach`] with what the kernel has against it, and what helps.
    pub fn attach_to(&self, program: &str, place: &Place<'_>) -> Result<Link> {
        let program = self.program(program)?;
        let spec = program.spec();
        let as_loaded =
            Program { fd: program.handle().as_fd(), ty: spec.ty, expected: spec.expected, name: &spec.name };
        let mut place = place.clone();
        if let Place::Usdt { maps, .. } = &mut place
            && maps.is_none()
            && let Ok(specs) = self.map(USDT_SPECS)
        {
            *maps = Some(UsdtMaps { specs: specs.sys() });
        }
        attach::attach(as_loaded, &place).map_err(failed)
    }

    /// Runs an iterator, over everything or over what is named: the file gives what it writes.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use alveary::{Object, Target, kernel::sys::IterTarget};
    /// let loaded = Object::open("tasks.bpf.o")?.load(Target::linux())?;
    /// println!("{}", std::io::read_to_string(loaded.iterate("tasks", IterTarget::All)?)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::Attach`] with what the kernel has against it.
    pub fn iterate(&self, program: &str, over: IterTarget<'_>) -> Result<File> {
        let link = self.attach_to(program, &Place::Iter(over))?;
        // The file holds the link.
        let opened = link.fds().next().map(sys::iter_create).transpose().map_err(|e| failed(e.diagnostic()))?;
        opened.map(File::from).ok_or_else(|| {
            failed(Diagnostic::new("attach", format!("iterator `{program}` has no link to be opened"), At::Nowhere))
        })
    }
}

/// Where a program goes; `None` if its section leaves something open.
fn place_of(program: &ProgramRef<'_, Linux>) -> Result<Option<Place<'static>>, Diagnostic> {
    let spec = program.spec();
    if program.target().0.targets.contains_key(&*spec.name) {
        // The function of another program was named when it was loaded.
        return Ok(Some(Place::Loaded { cookie: 0 }));
    }
    Place::of(spec.attach.as_ref(), spec.ty)
}

fn said_by_section(program: &ProgramRef<'_, Linux>) -> Result<Place<'static>, Diagnostic> {
    let spec = program.spec();
    place_of(program)?.ok_or_else(|| {
        if spec.ty == ProgType::STRUCT_OPS {
            let message = format!("program `{}` is a function of a kernel interface", spec.name);
            return Diagnostic::new("attach", message, At::Nowhere)
                .expected("that interface to be registered, as a whole");
        }
        let message = format!("the section of program `{}` does not say where to attach it", spec.name);
        Diagnostic::new("attach-where", message, At::Nowhere).found(format!("SEC(\"{}\")", spec.section))
    })
}

/// What is against an attachment, as an error of this library.
pub(super) fn failed(why: Diagnostic) -> Error {
    let kind = if why.code.0 == sys::PRIVILEGE { Kind::Privilege } else { Kind::Attach };
    Error::new(kind, why)
}
