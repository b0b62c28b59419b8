// Made by `alveary gen skeleton --lang rust`: make it anew rather than change it.

#[allow(unused_imports, reason = "not everyone uses all that an object has")]
use alveary::skeleton::{Global, PerCpuMap, TypedMap};
#[allow(unused_imports, reason = "not everyone uses all that an object has")]
use alveary::spec::{MapSpec, ProgramSpec};
use alveary::{Backend, Loaded, Loader, Object, ProgramRef, Result};

/// The object, read and not yet loaded: what is changed here is loaded so.
pub struct Open {
    /// The maps: their sizes, flags, types.
    pub maps: OpenMaps,
    /// The programs: which are loaded, and as what.
    pub progs: OpenProgs,
    /// All the rest.
    pub object: Object,
}

/// The maps before they are made.
pub struct OpenMaps {
    /// `control`.
    pub control: MapSpec,
}

/// The programs before they are loaded.
pub struct OpenProgs {
    /// `half`.
    pub half: ProgramSpec,
    /// `stay`.
    pub stay: ProgramSpec,
    /// `undo`.
    pub undo: ProgramSpec,
}

#[allow(dead_code, reason = "not everyone uses all that an object has")]
impl Open {
    /// Reads the object.
    pub fn new() -> Result<Self> {
        let object = Object::parse(ELF)?;
        Ok(Self {
            maps: OpenMaps {
                control: object.map_spec("control")?.clone(),
            },
            progs: OpenProgs {
                half: object.program_spec("half")?.clone(),
                stay: object.program_spec("stay")?.clone(),
                undo: object.program_spec("undo")?.clone(),
            },
            object,
        })
    }

    /// The object with all that was changed.
    pub fn into_object(self) -> Result<Object> {
        let mut object = self.object;
        *object.map_spec_mut("control")? = self.maps.control;
        *object.program_spec_mut("half")? = self.progs.half;
        *object.program_spec_mut("stay")? = self.progs.stay;
        *object.program_spec_mut("undo")? = self.progs.undo;
        Ok(object)
    }

    /// Makes the maps and loads the programs.
    pub fn load<B: Backend>(self, on: B) -> Result<Control<B>> {
        self.load_by(Loader::new(on))
    }

    /// The same by a loader with settings.
    pub fn load_by<B: Backend>(self, loader: Loader<B>) -> Result<Control<B>> {
        Control::new(loader.load(&self.into_object()?)?)
    }
}

/// The object on a target: its maps and programs, for as long as this value lives.
#[allow(dead_code, reason = "not everyone uses all that an object has")]
pub struct Control<B: Backend> {
    /// The maps.
    pub maps: Maps<B>,
    /// All that was loaded.
    pub loaded: Loaded<B>,
}

#[allow(dead_code, reason = "not everyone uses all that an object has")]
impl<B: Backend> Control<B> {
    /// Takes what was loaded from this object.
    pub fn new(loaded: Loaded<B>) -> Result<Self> {
        Ok(Self {
            maps: Maps {
                control: loaded.map("control")?.clone(),
            },
            loaded,
        })
    }

    /// The programs.
    pub fn progs(&self) -> Progs<'_, B> {
        Progs(&self.loaded)
    }
}

/// The maps, by name and type.
#[allow(dead_code, reason = "not everyone uses all that an object has")]
pub struct Maps<B: Backend> {
    /// The map `control`.
    pub control: B::Map,
}

/// The programs, by name.
pub struct Progs<'a, B: Backend>(&'a Loaded<B>);

#[allow(dead_code, reason = "not everyone uses all that an object has")]
impl<'a, B: Backend> Progs<'a, B> {
    /// The program of section `struct_ops`; an error if it was not loaded.
    pub fn half(&self) -> Result<ProgramRef<'a, B>> {
        self.0.program("half")
    }

    /// The program of section `struct_ops`; an error if it was not loaded.
    pub fn stay(&self) -> Result<ProgramRef<'a, B>> {
        self.0.program("stay")
    }

    /// The program of section `struct_ops`; an error if it was not loaded.
    pub fn undo(&self) -> Result<ProgramRef<'a, B>> {
        self.0.program("undo")
    }
}

/// What the programs are attached by: each until it is dropped. `None` was not loaded, or its section does not say where.
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "not everyone uses all that an object has")]
pub struct Links {
    /// Of `half`.
    pub half: Option<alveary::kernel::attach::Link>,
    /// Of `stay`.
    pub stay: Option<alveary::kernel::attach::Link>,
    /// Of `undo`.
    pub undo: Option<alveary::kernel::attach::Link>,
    /// Of the kernel interface `control`.
    pub control: Option<alveary::kernel::attach::Link>,
}

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "not everyone uses all that an object has")]
impl Control<alveary::Linux> {
    /// Attaches the programs to where their sections say, and registers the kernel interfaces.
    pub fn attach(&self) -> Result<Links> {
        Ok(Links {
            half: self.loaded.attach_as_said("half")?,
            stay: self.loaded.attach_as_said("stay")?,
            undo: self.loaded.attach_as_said("undo")?,
            control: self.loaded.register_if_made("control")?,
        })
    }
}

/// The object's types.
#[allow(
    clippy::all,
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unused_imports,
    unused_macros,
    reason = "generated"
)]
pub mod types {
    pub use ::alveary::skeleton::plain::*;
    use ::alveary::skeleton::{bits, enumeration, layout, variants};
    pub use ::core::ffi::{c_char, c_void};

    const _: () = assert!(cfg!(target_endian = "little"));

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct tcp_congestion_ops {
        pub ssthresh: Ptr<Function>,
        pub cong_avoid: Ptr<Function>,
        pub undo_cwnd: Ptr<Function>,
        pub name: [c_char; 16],
    }
    layout! {
        tcp_congestion_ops: 40;
        ssthresh: 0;
        cong_avoid: 8;
        undo_cwnd: 16;
        name: 24;
    }
}

/// The object file.
#[rustfmt::skip]
pub const ELF: &[u8] = b"\
\x7f\x45\x4c\x46\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\xf7\0\x01\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\x80\x06\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\x40\0\x0d\0\
\x01\0\xb4\0\0\0\x02\0\0\0\x95\0\0\0\0\0\0\0\x95\0\0\0\0\0\0\0\xb4\0\0\0\x02\0\
\0\0\x95\0\0\0\0\0\0\0\x47\x50\x4c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\x61\x6c\x76\x65\x61\x72\x79\x5f\x73\x6b\x65\x6c\0\0\0\0\x9f\xeb\
\x01\0\x18\0\0\0\0\0\0\0\xd0\x01\0\0\xd0\x01\0\0\x9a\x01\0\0\0\0\0\0\0\0\0\x02\
\x02\0\0\0\x01\0\0\0\0\0\0\x01\x08\0\0\0\x40\0\0\0\0\0\0\0\x01\0\0\x0d\x04\0\0\
\0\x14\0\0\0\x01\0\0\0\x18\0\0\0\0\0\0\x01\x04\0\0\0\x20\0\0\0\x25\0\0\0\x01\0\
\0\x0c\x03\0\0\0\0\0\0\0\x01\0\0\x0d\0\0\0\0\x14\0\0\0\x01\0\0\0\x90\0\0\0\x01\
\0\0\x0c\x06\0\0\0\0\0\0\0\x01\0\0\x0d\x04\0\0\0\x14\0\0\0\x01\0\0\0\xcd\0\0\0\
\x01\0\0\x0c\x08\0\0\0\x1d\x01\0\0\0\0\0\x01\x01\0\0\0\x08\0\0\x01\0\0\0\0\0\0\
\0\x03\0\0\0\0\x0a\0\0\0\x0c\0\0\0\x04\0\0\0\x22\x01\0\0\0\0\0\x01\x04\0\0\0\
\x20\0\0\0\x36\x01\0\0\0\0\0\x0e\x0b\0\0\0\x01\0\0\0\x3e\x01\0\0\x04\0\0\x04\
\x28\0\0\0\x51\x01\0\0\x0f\0\0\0\0\0\0\0\x5a\x01\0\0\x13\0\0\0\x40\0\0\0\x65\
\x01\0\0\x0f\0\0\0\x80\0\0\0\x6f\x01\0\0\x15\0\0\0\xc0\0\0\0\0\0\0\0\0\0\0\x02\
\x10\0\0\0\0\0\0\0\x01\0\0\x0d\x04\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\0\0\0\x02\
\x12\0\0\0\x74\x01\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\x02\x14\0\0\0\0\0\0\0\
\x03\0\0\x0d\0\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x04\0\0\0\0\0\
\0\0\0\0\0\x03\0\0\0\0\x0a\0\0\0\x0c\0\0\0\x10\0\0\0\x79\x01\0\0\0\0\0\x0e\x0e\
\0\0\0\x01\0\0\0\x81\x01\0\0\x01\0\0\x0f\0\0\0\0\x16\0\0\0\0\0\0\0\x28\0\0\0\
\x92\x01\0\0\x01\0\0\x0f\0\0\0\0\x0d\0\0\0\0\0\0\0\x04\0\0\0\0\x75\x6e\x73\x69\
\x67\x6e\x65\x64\x20\x6c\x6f\x6e\x67\x20\x6c\x6f\x6e\x67\0\x63\x74\x78\0\x75\
\x6e\x73\x69\x67\x6e\x65\x64\x20\x69\x6e\x74\0\x68\x61\x6c\x66\0\x73\x74\x72\
\x75\x63\x74\x5f\x6f\x70\x73\0\x2e\x2f\x63\x6f\x6e\x74\x72\x6f\x6c\x2e\x62\x70\
\x66\x2e\x63\0\x53\x45\x43\x28\x22\x73\x74\x72\x75\x63\x74\x5f\x6f\x70\x73\x22\
\x29\x20\x75\x6e\x73\x69\x67\x6e\x65\x64\x20\x69\x6e\x74\x20\x68\x61\x6c\x66\
\x28\x75\x6e\x73\x69\x67\x6e\x65\x64\x20\x6c\x6f\x6e\x67\x20\x6c\x6f\x6e\x67\
\x20\x2a\x63\x74\x78\x29\x20\x7b\x20\x72\x65\x74\x75\x72\x6e\x20\x32\x3b\x20\
\x7d\0\x73\x74\x61\x79\0\x53\x45\x43\x28\x22\x73\x74\x72\x75\x63\x74\x5f\x6f\
\x70\x73\x22\x29\x20\x76\x6f\x69\x64\x20\x73\x74\x61\x79\x28\x75\x6e\x73\x69\
\x67\x6e\x65\x64\x20\x6c\x6f\x6e\x67\x20\x6c\x6f\x6e\x67\x20\x2a\x63\x74\x78\
\x29\x20\x7b\x7d\0\x75\x6e\x64\x6f\0\x53\x45\x43\x28\x22\x73\x74\x72\x75\x63\
\x74\x5f\x6f\x70\x73\x22\x29\x20\x75\x6e\x73\x69\x67\x6e\x65\x64\x20\x69\x6e\
\x74\x20\x75\x6e\x64\x6f\x28\x75\x6e\x73\x69\x67\x6e\x65\x64\x20\x6c\x6f\x6e\
\x67\x20\x6c\x6f\x6e\x67\x20\x2a\x63\x74\x78\x29\x20\x7b\x20\x72\x65\x74\x75\
\x72\x6e\x20\x32\x3b\x20\x7d\0\x63\x68\x61\x72\0\x5f\x5f\x41\x52\x52\x41\x59\
\x5f\x53\x49\x5a\x45\x5f\x54\x59\x50\x45\x5f\x5f\0\x4c\x49\x43\x45\x4e\x53\x45\
\0\x74\x63\x70\x5f\x63\x6f\x6e\x67\x65\x73\x74\x69\x6f\x6e\x5f\x6f\x70\x73\0\
\x73\x73\x74\x68\x72\x65\x73\x68\0\x63\x6f\x6e\x67\x5f\x61\x76\x6f\x69\x64\0\
\x75\x6e\x64\x6f\x5f\x63\x77\x6e\x64\0\x6e\x61\x6d\x65\0\x73\x6f\x63\x6b\0\x63\
\x6f\x6e\x74\x72\x6f\x6c\0\x2e\x73\x74\x72\x75\x63\x74\x5f\x6f\x70\x73\x2e\x6c\
\x69\x6e\x6b\0\x6c\x69\x63\x65\x6e\x73\x65\0\0\0\x9f\xeb\x01\0\x20\0\0\0\0\0\0\
\0\x24\0\0\0\x24\0\0\0\x3c\0\0\0\x60\0\0\0\0\0\0\0\x08\0\0\0\x2a\0\0\0\x03\0\0\
\0\0\0\0\0\x05\0\0\0\x10\0\0\0\x07\0\0\0\x18\0\0\0\x09\0\0\0\x10\0\0\0\x2a\0\0\
\0\x03\0\0\0\0\0\0\0\x35\0\0\0\x45\0\0\0\x40\x4c\0\0\x10\0\0\0\x35\0\0\0\x95\0\
\0\0\x37\x50\0\0\x18\0\0\0\x35\0\0\0\xd2\0\0\0\x40\x54\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\x54\0\0\0\x12\0\x03\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\
\x12\0\x03\0\x10\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x24\0\0\0\x12\0\x03\0\x18\0\0\
\0\0\0\0\0\x10\0\0\0\0\0\0\0\x7a\0\0\0\x11\0\x04\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\
\0\0\0\x29\0\0\0\x11\0\x05\0\0\0\0\0\0\0\0\0\x28\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\x02\0\0\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x02\0\0\0\x03\0\0\0\x10\0\0\0\0\0\0\0\
\x02\0\0\0\x04\0\0\0\xc8\x01\0\0\0\0\0\0\x04\0\0\0\x06\0\0\0\xe0\x01\0\0\0\0\0\
\0\x04\0\0\0\x05\0\0\0\x2c\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x34\0\0\0\0\0\0\0\
\x04\0\0\0\x01\0\0\0\x3c\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x50\0\0\0\0\0\0\0\
\x04\0\0\0\x01\0\0\0\x60\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x70\0\0\0\0\0\0\0\
\x04\0\0\0\x01\0\0\0\x0a\x0b\x0c\x0d\x0e\0\x73\x74\x61\x79\0\x2e\x74\x65\x78\
\x74\0\x2e\x72\x65\x6c\x2e\x42\x54\x46\x2e\x65\x78\x74\0\x73\x74\x72\x75\x63\
\x74\x5f\x6f\x70\x73\0\x75\x6e\x64\x6f\0\x63\x6f\x6e\x74\x72\x6f\x6c\0\x2e\x72\
\x65\x6c\x2e\x73\x74\x72\x75\x63\x74\x5f\x6f\x70\x73\x2e\x6c\x69\x6e\x6b\0\x2e\
\x6c\x6c\x76\x6d\x5f\x61\x64\x64\x72\x73\x69\x67\0\x68\x61\x6c\x66\0\x6c\x69\
\x63\x65\x6e\x73\x65\0\x2e\x73\x74\x72\x74\x61\x62\0\x2e\x73\x79\x6d\x74\x61\
\x62\0\x2e\x72\x65\x6c\x2e\x42\x54\x46\0\x4c\x49\x43\x45\x4e\x53\x45\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x61\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\xfd\x05\0\0\0\0\0\0\x82\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\0\0\0\x01\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\
\0\0\x28\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x59\0\
\0\0\x01\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x68\0\0\0\0\0\0\0\x04\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x35\0\0\0\x01\0\0\0\
\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x70\0\0\0\0\0\0\0\x28\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x31\0\0\0\x09\0\0\0\x40\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\x48\x05\0\0\0\0\0\0\x30\0\0\0\0\0\0\0\x0c\0\0\0\x05\0\0\0\
\x08\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x75\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\x98\0\0\0\0\0\0\0\x82\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\x71\0\0\0\x09\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x78\
\x05\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\x0c\0\0\0\x07\0\0\0\x08\0\0\0\0\0\0\0\x10\0\
\0\0\0\0\0\0\x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c\x04\0\0\0\
\0\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0c\
\0\0\0\x09\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x98\x05\0\0\0\0\0\0\x60\0\0\
\0\0\0\0\0\x0c\0\0\0\x09\0\0\0\x08\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x46\0\0\0\
\x03\x4c\xff\x6f\0\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\0\xf8\x05\0\0\0\0\0\0\x05\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x69\0\0\0\x02\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xa0\x04\0\0\0\0\0\0\xa8\0\0\0\0\0\0\0\x01\0\
\0\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x18\0\0\0\0\0\0\0";
