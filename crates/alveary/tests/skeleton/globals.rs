// Made by `alveary gen skeleton --lang rust`: make it anew rather than change it.

#[allow(unused_imports, reason = "not everyone uses all that an object has")]
use alveary::skeleton::{Global, PerCpuMap, TypedMap};
#[allow(unused_imports, reason = "not everyone uses all that an object has")]
use alveary::spec::{MapSpec, ProgramSpec};
use alveary::{Backend, Loaded, Loader, Object, ProgramRef, Result};

/// The object, read and not yet loaded: what is changed here is loaded so.
pub struct Open {
    /// The variables of `.bss`.
    pub bss: types::bss,
    /// The variables of `.data`.
    pub data: types::data,
    /// The variables of `.rodata`.
    pub rodata: types::rodata,
    /// The maps: their sizes, flags, types.
    pub maps: OpenMaps,
    /// The programs: which are loaded, and as what.
    pub progs: OpenProgs,
    /// All the rest.
    pub object: Object,
}

/// The maps before they are made.
pub struct OpenMaps {
    /// `lengths`.
    pub lengths: MapSpec,
    /// `total`.
    pub total: MapSpec,
}

/// The programs before they are loaded.
pub struct OpenProgs {
    /// `measure`.
    pub measure: ProgramSpec,
    /// `optional`.
    pub optional: ProgramSpec,
}

#[allow(dead_code, reason = "not everyone uses all that an object has")]
impl Open {
    /// Reads the object.
    pub fn new() -> Result<Self> {
        let object = Object::parse(ELF)?;
        Ok(Self {
            bss: object.data(".bss")?,
            data: object.data(".data")?,
            rodata: object.data(".rodata")?,
            maps: OpenMaps {
                lengths: object.map_spec("lengths")?.clone(),
                total: object.map_spec("total")?.clone(),
            },
            progs: OpenProgs {
                measure: object.program_spec("measure")?.clone(),
                optional: object.program_spec("optional")?.clone(),
            },
            object,
        })
    }

    /// The object with all that was changed.
    pub fn into_object(self) -> Result<Object> {
        let mut object = self.object;
        object.set_data(".bss", &self.bss)?;
        object.set_data(".data", &self.data)?;
        object.set_data(".rodata", &self.rodata)?;
        *object.map_spec_mut("lengths")? = self.maps.lengths;
        *object.map_spec_mut("total")? = self.maps.total;
        *object.program_spec_mut("measure")? = self.progs.measure;
        *object.program_spec_mut("optional")? = self.progs.optional;
        Ok(object)
    }

    /// Makes the maps and loads the programs.
    pub fn load<B: Backend>(self, on: B) -> Result<Globals<B>> {
        self.load_by(Loader::new(on))
    }

    /// The same by a loader with settings.
    pub fn load_by<B: Backend>(self, loader: Loader<B>) -> Result<Globals<B>> {
        Globals::new(loader.load(&self.into_object()?)?)
    }
}

/// The object on a target: its maps and programs, for as long as this value lives.
#[allow(dead_code, reason = "not everyone uses all that an object has")]
pub struct Globals<B: Backend> {
    /// The variables of `.bss`.
    pub bss: Global<B::Map, types::bss>,
    /// The variables of `.data`.
    pub data: Global<B::Map, types::data>,
    /// The variables of `.rodata`.
    pub rodata: Global<B::Map, types::rodata>,
    /// The maps.
    pub maps: Maps<B>,
    /// All that was loaded.
    pub loaded: Loaded<B>,
}

#[allow(dead_code, reason = "not everyone uses all that an object has")]
impl<B: Backend> Globals<B> {
    /// Takes what was loaded from this object.
    pub fn new(loaded: Loaded<B>) -> Result<Self> {
        Ok(Self {
            bss: Global::of(&loaded, ".bss")?,
            data: Global::of(&loaded, ".data")?,
            rodata: Global::of(&loaded, ".rodata")?,
            maps: Maps {
                lengths: TypedMap::of(&loaded, "lengths")?,
                total: PerCpuMap::of(&loaded, "total")?,
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
    /// The map `lengths`.
    pub lengths: TypedMap<B::Map, types::__u32, types::limit>,
    /// The map `total`.
    pub total: PerCpuMap<B::Map, types::__u32, types::__u64>,
}

/// The programs, by name.
pub struct Progs<'a, B: Backend>(&'a Loaded<B>);

#[allow(dead_code, reason = "not everyone uses all that an object has")]
impl<'a, B: Backend> Progs<'a, B> {
    /// The program of section `xdp`; an error if it was not loaded.
    pub fn measure(&self) -> Result<ProgramRef<'a, B>> {
        self.0.program("measure")
    }

    /// The program of section `?xdp`; an error if it was not loaded.
    pub fn optional(&self) -> Result<ProgramRef<'a, B>> {
        self.0.program("optional")
    }
}

/// What the programs are attached by: each until it is dropped. `None` was not loaded, or its section does not say where.
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "not everyone uses all that an object has")]
pub struct Links {
    /// Of `measure`.
    pub measure: Option<alveary::kernel::attach::Link>,
    /// Of `optional`.
    pub optional: Option<alveary::kernel::attach::Link>,
}

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "not everyone uses all that an object has")]
impl Globals<alveary::Linux> {
    /// Attaches the programs to where their sections say.
    pub fn attach(&self) -> Result<Links> {
        Ok(Links {
            measure: self.loaded.attach_as_said("measure")?,
            optional: self.loaded.attach_as_said("optional")?,
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
    pub struct bss {
        pub __pad1: [u8; 4],
        pub seen: anon_41,
    }
    layout! {
        bss: 12;
        __pad1: 0;
        seen: 4;
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct anon_41 {
        pub packets: __u32,
        pub __anon1: anon_41__anon1,
    }
    layout! {
        anon_41: 8;
        packets: 0;
        __anon1: 4;
    }

    pub type __u32 = u32;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct anon_41__anon1 {
        pub bytes: [u8; 4],
    }
    variants! {
        anon_41__anon1: 4;
        word set_word: __u32;
        bytes set_bytes: [u8; 4];
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct data {
        pub threshold: __u64,
    }
    layout! {
        data: 8;
        threshold: 0;
    }

    pub type __u64 = u64;

    #[repr(C, packed)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct rodata {
        pub limits: [limit; 2],
        pub mode: mode,
    }
    layout! {
        rodata: 52;
        limits: 0;
        mode: 48;
    }

    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct mode(pub u32);
    impl mode {
        pub const OFF: Self = Self(0);
        pub const COUNT: Self = Self(1);
    }
    enumeration! {
        mode: u32
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct limit {
        pub name: [c_char; 4],
        pub __pad1: [u8; 4],
        pub bytes: __u64,
        pub __bits1: [u8; 1],
        pub __pad2: [u8; 7],
    }
    layout! {
        limit: 24;
        name: 0;
        __pad1: 4;
        bytes: 8;
        __bits1: 16;
        __pad2: 17;
    }
    bits! {
        limit.__bits1;
        low set_low: __u32, 0, 3;
        high set_high: __u32, 3, 5;
    }
}

/// The object file.
#[rustfmt::skip]
pub const ELF: &[u8] = b"\
\x7f\x45\x4c\x46\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\xf7\0\x01\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\x60\x10\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\x40\0\x11\0\
\x01\0\x61\x12\0\0\0\0\0\0\x61\x16\x04\0\0\0\0\0\xb4\x01\0\0\x4d\0\0\0\x73\x1a\
\xf8\xff\0\0\0\0\x1c\x26\0\0\0\0\0\0\xb4\x01\0\0\0\0\0\0\x63\x1a\xe8\xff\0\0\0\
\0\x7b\x6a\xf0\xff\0\0\0\0\x63\x6a\xe4\xff\0\0\0\0\x63\x1a\xe0\xff\0\0\0\0\xbf\
\xa2\0\0\0\0\0\0\x07\x02\0\0\xe0\xff\xff\xff\x18\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\x85\0\0\0\x01\0\0\0\x15\0\x03\0\0\0\0\0\x79\x01\0\0\0\0\0\0\x0f\x61\0\0\0\0\
\0\0\x7b\x10\0\0\0\0\0\0\x18\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x61\x21\0\0\0\0\0\
\0\x04\x01\0\0\x01\0\0\0\x63\x12\0\0\0\0\0\0\x18\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\x61\x22\0\0\0\0\0\0\x56\x02\x0e\0\x01\0\0\0\x18\x02\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\x63\x12\x04\0\0\0\0\0\x61\x21\0\0\0\0\0\0\x04\x01\0\0\x01\0\0\0\x63\x12\0\
\0\0\0\0\0\xbf\xa2\0\0\0\0\0\0\x07\x02\0\0\xe4\xff\xff\xff\xbf\xa3\0\0\0\0\0\0\
\x07\x03\0\0\xe8\xff\xff\xff\x18\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xb7\x04\0\0\0\
\0\0\0\x85\0\0\0\x02\0\0\0\x18\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x79\x12\0\0\0\0\
\0\0\xb4\0\0\0\x01\0\0\0\xb4\x01\0\0\x01\0\0\0\xad\x62\x01\0\0\0\0\0\xb4\x01\0\
\0\x02\0\0\0\x18\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x79\x22\x20\0\0\0\0\0\xad\x62\
\x01\0\0\0\0\0\xbc\x10\0\0\0\0\0\0\x95\0\0\0\0\0\0\0\xb4\0\0\0\x02\0\0\0\x95\0\
\0\0\0\0\0\0\x6f\x6e\x65\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\x64\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe8\x03\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x44\x75\x61\x6c\x20\x4d\x49\x54\
\x2f\x47\x50\x4c\0\0\0\0\x9f\xeb\x01\0\x18\0\0\0\0\0\0\0\x60\x04\0\0\x60\x04\0\
\0\xf1\x02\0\0\0\0\0\0\0\0\0\x02\x03\0\0\0\x01\0\0\0\0\0\0\x01\x04\0\0\0\x20\0\
\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\x02\0\0\0\x04\0\0\0\x06\0\0\0\x05\0\0\0\0\0\0\
\x01\x04\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\x02\x06\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\
\x02\0\0\0\x04\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\x02\x08\0\0\0\x19\0\0\0\0\0\0\x08\
\x09\0\0\0\x1f\0\0\0\0\0\0\x01\x04\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\x02\x0b\0\0\0\
\x2c\0\0\0\0\0\0\x08\x0c\0\0\0\x32\0\0\0\0\0\0\x01\x08\0\0\0\x40\0\0\0\0\0\0\0\
\x04\0\0\x04\x20\0\0\0\x45\0\0\0\x01\0\0\0\0\0\0\0\x4a\0\0\0\x05\0\0\0\x40\0\0\
\0\x56\0\0\0\x07\0\0\0\x80\0\0\0\x5a\0\0\0\x0a\0\0\0\xc0\0\0\0\x60\0\0\0\0\0\0\
\x0e\x0d\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\x02\x10\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\
\x02\0\0\0\x04\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\x02\x12\0\0\0\0\0\0\0\0\0\0\x03\0\
\0\0\0\x02\0\0\0\x04\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\x02\x14\0\0\0\x66\0\0\0\x04\
\0\0\x84\x18\0\0\0\x6c\0\0\0\x16\0\0\0\0\0\0\0\x71\0\0\0\x0b\0\0\0\x40\0\0\0\
\x77\0\0\0\x08\0\0\0\x80\0\0\x03\x7b\0\0\0\x08\0\0\0\x83\0\0\x05\x80\0\0\0\0\0\
\0\x01\x01\0\0\0\x08\0\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\x15\0\0\0\x04\0\0\0\x04\
\0\0\0\0\0\0\0\x04\0\0\x04\x20\0\0\0\x45\0\0\0\x0f\0\0\0\0\0\0\0\x4a\0\0\0\x11\
\0\0\0\x40\0\0\0\x56\0\0\0\x07\0\0\0\x80\0\0\0\x5a\0\0\0\x13\0\0\0\xc0\0\0\0\
\x85\0\0\0\0\0\0\x0e\x17\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\x02\x1a\0\0\0\x8d\0\0\0\
\x02\0\0\x04\x08\0\0\0\x94\0\0\0\x08\0\0\0\0\0\0\0\x99\0\0\0\x08\0\0\0\x20\0\0\
\0\0\0\0\0\x01\0\0\x0d\x02\0\0\0\xa2\0\0\0\x19\0\0\0\xaa\0\0\0\x01\0\0\x0c\x1b\
\0\0\0\0\0\0\0\x01\0\0\x0d\x02\0\0\0\xa2\0\0\0\x19\0\0\0\x68\x02\0\0\x01\0\0\
\x0c\x1d\0\0\0\0\0\0\0\0\0\0\x0a\x20\0\0\0\0\0\0\0\0\0\0\x09\x14\0\0\0\0\0\0\0\
\0\0\0\x03\0\0\0\0\x1f\0\0\0\x04\0\0\0\x02\0\0\0\x81\x02\0\0\0\0\0\x0e\x21\0\0\
\0\x01\0\0\0\0\0\0\0\0\0\0\x0a\x24\0\0\0\0\0\0\0\0\0\0\x09\x25\0\0\0\x88\x02\0\
\0\x02\0\0\x06\x04\0\0\0\x8d\x02\0\0\0\0\0\0\x91\x02\0\0\x01\0\0\0\x88\x02\0\0\
\0\0\0\x0e\x23\0\0\0\x01\0\0\0\x97\x02\0\0\0\0\0\x0e\x0b\0\0\0\x01\0\0\0\xa1\
\x02\0\0\0\0\0\x0e\x08\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\x04\x08\0\0\0\xa8\x02\0\0\
\x08\0\0\0\0\0\0\0\0\0\0\0\x2a\0\0\0\x20\0\0\0\0\0\0\0\x02\0\0\x05\x04\0\0\0\
\xb0\x02\0\0\x08\0\0\0\0\0\0\0\x71\0\0\0\x2c\0\0\0\0\0\0\0\xb5\x02\0\0\0\0\0\
\x01\x01\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\x2b\0\0\0\x04\0\0\0\x04\0\0\
\0\xc3\x02\0\0\0\0\0\x0e\x29\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\x15\0\0\
\0\x04\0\0\0\x0d\0\0\0\xc8\x02\0\0\0\0\0\x0e\x2e\0\0\0\x01\0\0\0\xd0\x02\0\0\
\x02\0\0\x0f\0\0\0\0\x28\0\0\0\0\0\0\0\x04\0\0\0\x2d\0\0\0\0\0\0\0\x08\0\0\0\
\xd5\x02\0\0\x01\0\0\x0f\0\0\0\0\x27\0\0\0\0\0\0\0\x08\0\0\0\xdb\x02\0\0\x02\0\
\0\x0f\0\0\0\0\x0e\0\0\0\0\0\0\0\x20\0\0\0\x18\0\0\0\0\0\0\0\x20\0\0\0\xe1\x02\
\0\0\x02\0\0\x0f\0\0\0\0\x22\0\0\0\0\0\0\0\x30\0\0\0\x26\0\0\0\0\0\0\0\x04\0\0\
\0\xe9\x02\0\0\x01\0\0\x0f\0\0\0\0\x2f\0\0\0\0\0\0\0\x0d\0\0\0\0\x69\x6e\x74\0\
\x5f\x5f\x41\x52\x52\x41\x59\x5f\x53\x49\x5a\x45\x5f\x54\x59\x50\x45\x5f\x5f\0\
\x5f\x5f\x75\x33\x32\0\x75\x6e\x73\x69\x67\x6e\x65\x64\x20\x69\x6e\x74\0\x5f\
\x5f\x75\x36\x34\0\x75\x6e\x73\x69\x67\x6e\x65\x64\x20\x6c\x6f\x6e\x67\x20\x6c\
\x6f\x6e\x67\0\x74\x79\x70\x65\0\x6d\x61\x78\x5f\x65\x6e\x74\x72\x69\x65\x73\0\
\x6b\x65\x79\0\x76\x61\x6c\x75\x65\0\x74\x6f\x74\x61\x6c\0\x6c\x69\x6d\x69\x74\
\0\x6e\x61\x6d\x65\0\x62\x79\x74\x65\x73\0\x6c\x6f\x77\0\x68\x69\x67\x68\0\x63\
\x68\x61\x72\0\x6c\x65\x6e\x67\x74\x68\x73\0\x78\x64\x70\x5f\x6d\x64\0\x64\x61\
\x74\x61\0\x64\x61\x74\x61\x5f\x65\x6e\x64\0\x63\x6f\x6e\x74\x65\x78\x74\0\x6d\
\x65\x61\x73\x75\x72\x65\0\x78\x64\x70\0\x2e\x2f\x67\x6c\x6f\x62\x61\x6c\x73\
\x2e\x62\x70\x66\x2e\x63\0\x09\x5f\x5f\x75\x36\x34\x20\x6c\x65\x6e\x67\x74\x68\
\x20\x3d\x20\x63\x6f\x6e\x74\x65\x78\x74\x2d\x3e\x64\x61\x74\x61\x5f\x65\x6e\
\x64\x20\x2d\x20\x63\x6f\x6e\x74\x65\x78\x74\x2d\x3e\x64\x61\x74\x61\x3b\0\x09\
\x73\x74\x72\x75\x63\x74\x20\x6c\x69\x6d\x69\x74\x20\x6c\x69\x6d\x69\x74\x20\
\x3d\x20\x7b\x20\x2e\x62\x79\x74\x65\x73\x20\x3d\x20\x6c\x65\x6e\x67\x74\x68\
\x2c\x20\x2e\x6c\x6f\x77\x20\x3d\x20\x35\x2c\x20\x2e\x68\x69\x67\x68\x20\x3d\
\x20\x39\x20\x7d\x3b\0\x09\x5f\x5f\x75\x33\x32\x20\x6b\x65\x79\x20\x3d\x20\x6c\
\x65\x6e\x67\x74\x68\x3b\0\x09\x5f\x5f\x75\x33\x32\x20\x7a\x65\x72\x6f\x20\x3d\
\x20\x30\x3b\0\x09\x5f\x5f\x75\x36\x34\x20\x2a\x73\x75\x6d\x20\x3d\x20\x62\x70\
\x66\x5f\x6d\x61\x70\x5f\x6c\x6f\x6f\x6b\x75\x70\x5f\x65\x6c\x65\x6d\x28\x26\
\x74\x6f\x74\x61\x6c\x2c\x20\x26\x7a\x65\x72\x6f\x29\x3b\0\x09\x69\x66\x20\x28\
\x73\x75\x6d\x29\0\x09\x09\x2a\x73\x75\x6d\x20\x2b\x3d\x20\x6c\x65\x6e\x67\x74\
\x68\x3b\0\x09\x68\x69\x64\x64\x65\x6e\x2b\x2b\x3b\0\x09\x69\x66\x20\x28\x6d\
\x6f\x64\x65\x20\x3d\x3d\x20\x43\x4f\x55\x4e\x54\x29\x20\x7b\0\x09\x09\x73\x65\
\x65\x6e\x2e\x70\x61\x63\x6b\x65\x74\x73\x2b\x2b\x3b\0\x09\x09\x73\x65\x65\x6e\
\x2e\x77\x6f\x72\x64\x20\x3d\x20\x68\x69\x64\x64\x65\x6e\x3b\0\x09\x09\x62\x70\
\x66\x5f\x6d\x61\x70\x5f\x75\x70\x64\x61\x74\x65\x5f\x65\x6c\x65\x6d\x28\x26\
\x6c\x65\x6e\x67\x74\x68\x73\x2c\x20\x26\x6b\x65\x79\x2c\x20\x26\x6c\x69\x6d\
\x69\x74\x2c\x20\x30\x29\x3b\0\x09\x72\x65\x74\x75\x72\x6e\x20\x6c\x65\x6e\x67\
\x74\x68\x20\x3e\x20\x6c\x69\x6d\x69\x74\x73\x5b\x31\x5d\x2e\x62\x79\x74\x65\
\x73\x20\x7c\x7c\x20\x6c\x65\x6e\x67\x74\x68\x20\x3e\x20\x74\x68\x72\x65\x73\
\x68\x6f\x6c\x64\x20\x3f\x20\x31\x20\x3a\x20\x32\x3b\0\x6f\x70\x74\x69\x6f\x6e\
\x61\x6c\0\x3f\x78\x64\x70\0\x09\x72\x65\x74\x75\x72\x6e\x20\x32\x3b\0\x6c\x69\
\x6d\x69\x74\x73\0\x6d\x6f\x64\x65\0\x4f\x46\x46\0\x43\x4f\x55\x4e\x54\0\x74\
\x68\x72\x65\x73\x68\x6f\x6c\x64\0\x68\x69\x64\x64\x65\x6e\0\x70\x61\x63\x6b\
\x65\x74\x73\0\x77\x6f\x72\x64\0\x75\x6e\x73\x69\x67\x6e\x65\x64\x20\x63\x68\
\x61\x72\0\x73\x65\x65\x6e\0\x4c\x49\x43\x45\x4e\x53\x45\0\x2e\x62\x73\x73\0\
\x2e\x64\x61\x74\x61\0\x2e\x6d\x61\x70\x73\0\x2e\x72\x6f\x64\x61\x74\x61\0\x6c\
\x69\x63\x65\x6e\x73\x65\0\0\0\0\x9f\xeb\x01\0\x20\0\0\0\0\0\0\0\x24\0\0\0\x24\
\0\0\0\x84\x01\0\0\xa8\x01\0\0\0\0\0\0\x08\0\0\0\xb2\0\0\0\x01\0\0\0\0\0\0\0\
\x1c\0\0\0\x71\x02\0\0\x01\0\0\0\0\0\0\0\x1e\0\0\0\x10\0\0\0\xb2\0\0\0\x16\0\0\
\0\0\0\0\0\xb6\0\0\0\xc6\0\0\0\x2e\xf4\0\0\x08\0\0\0\xb6\0\0\0\xc6\0\0\0\x1a\
\xf4\0\0\x18\0\0\0\xb6\0\0\0\xf9\0\0\0\x17\xf8\0\0\x20\0\0\0\xb6\0\0\0\xc6\0\0\
\0\x23\xf4\0\0\x30\0\0\0\xb6\0\0\0\xf9\0\0\0\x17\xf8\0\0\x40\0\0\0\xb6\0\0\0\
\x39\x01\0\0\x08\xfc\0\0\x48\0\0\0\xb6\0\0\0\x4e\x01\0\0\x08\0\x01\0\x60\0\0\0\
\xb6\0\0\0\x5f\x01\0\0\x0f\x04\x01\0\x78\0\0\0\xb6\0\0\0\x91\x01\0\0\x06\x0c\
\x01\0\x80\0\0\0\xb6\0\0\0\x9b\x01\0\0\x08\x10\x01\0\x98\0\0\0\xb6\0\0\0\xad\
\x01\0\0\x08\x14\x01\0\xc0\0\0\0\xb6\0\0\0\xb8\x01\0\0\x06\x18\x01\0\xd8\0\0\0\
\xb6\0\0\0\xb8\x01\0\0\x06\x18\x01\0\xe0\0\0\0\xb6\0\0\0\xce\x01\0\0\x0f\x1c\
\x01\0\xf0\0\0\0\xb6\0\0\0\xe0\x01\0\0\x0d\x20\x01\0\xf8\0\0\0\xb6\0\0\0\xce\
\x01\0\0\x0f\x1c\x01\0\x30\x01\0\0\xb6\0\0\0\xf6\x01\0\0\x03\x24\x01\0\x50\x01\
\0\0\xb6\0\0\0\x28\x02\0\0\x22\x2c\x01\0\x78\x01\0\0\xb6\0\0\0\x28\x02\0\0\x09\
\x2c\x01\0\x88\x01\0\0\xb6\0\0\0\x28\x02\0\0\x1c\x2c\x01\0\xa0\x01\0\0\xb6\0\0\
\0\x28\x02\0\0\x09\x2c\x01\0\xb0\x01\0\0\xb6\0\0\0\x28\x02\0\0\x02\x2c\x01\0\
\x71\x02\0\0\x01\0\0\0\0\0\0\0\xb6\0\0\0\x76\x02\0\0\x02\x44\x01\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\x03\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\x40\0\0\0\x01\0\x09\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\
\0\0\x03\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\x09\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\x6c\0\0\0\x12\0\x03\0\0\0\0\0\0\0\0\0\xb8\x01\0\0\0\0\0\
\0\x47\0\0\0\x11\0\x08\0\0\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\x74\0\0\0\x11\0\x06\
\0\x30\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x3b\0\0\0\x11\0\x09\0\x04\0\0\0\0\0\0\0\
\x08\0\0\0\0\0\0\0\x26\0\0\0\x11\0\x08\0\x20\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\
\x79\0\0\0\x11\0\x07\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x14\0\0\0\x11\0\x06\0\
\0\0\0\0\0\0\0\0\x30\0\0\0\0\0\0\0\x4d\0\0\0\x12\0\x05\0\0\0\0\0\0\0\0\0\x10\0\
\0\0\0\0\0\0\xaa\0\0\0\x11\0\x0a\0\0\0\0\0\0\0\0\0\x0d\0\0\0\0\0\0\0\x60\0\0\0\
\0\0\0\0\x01\0\0\0\x06\0\0\0\x98\0\0\0\0\0\0\0\x01\0\0\0\x04\0\0\0\xc0\0\0\0\0\
\0\0\0\x01\0\0\0\x07\0\0\0\xe0\0\0\0\0\0\0\0\x01\0\0\0\x08\0\0\0\x30\x01\0\0\0\
\0\0\0\x01\0\0\0\x09\0\0\0\x50\x01\0\0\0\0\0\0\x01\0\0\0\x0a\0\0\0\x88\x01\0\0\
\0\0\0\0\x01\0\0\0\x0b\0\0\0\xec\x03\0\0\0\0\0\0\x04\0\0\0\x04\0\0\0\xf8\x03\0\
\0\0\0\0\0\x04\0\0\0\x08\0\0\0\x10\x04\0\0\0\0\0\0\x04\0\0\0\x0a\0\0\0\x28\x04\
\0\0\0\0\0\0\x04\0\0\0\x06\0\0\0\x34\x04\0\0\0\0\0\0\x04\0\0\0\x09\0\0\0\x4c\
\x04\0\0\0\0\0\0\x03\0\0\0\x0b\0\0\0\x58\x04\0\0\0\0\0\0\x03\0\0\0\x07\0\0\0\
\x70\x04\0\0\0\0\0\0\x04\0\0\0\x0d\0\0\0\x2c\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\
\x3c\0\0\0\0\0\0\0\x04\0\0\0\x03\0\0\0\x50\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\
\x60\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x70\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\
\x80\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x90\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\
\xa0\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\xb0\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\
\xc0\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\xd0\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\
\xe0\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\xf0\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\0\
\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x10\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\
\x20\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x30\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\0\
\0\x40\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x50\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\
\0\0\x60\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x70\x01\0\0\0\0\0\0\x04\0\0\0\x01\
\0\0\0\x80\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x90\x01\0\0\0\0\0\0\x04\0\0\0\
\x01\0\0\0\xa0\x01\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\xb8\x01\0\0\0\0\0\0\x04\0\0\
\0\x03\0\0\0\x0f\x16\x15\x11\x10\x13\x17\0\x2e\x74\x65\x78\x74\0\x2e\x72\x65\
\x6c\x2e\x42\x54\x46\x2e\x65\x78\x74\0\x6c\x69\x6d\x69\x74\x73\0\x2e\x62\x73\
\x73\0\x2e\x6d\x61\x70\x73\0\x6c\x65\x6e\x67\x74\x68\x73\0\x2e\x72\x65\x6c\x78\
\x64\x70\0\x3f\x78\x64\x70\0\x73\x65\x65\x6e\0\x68\x69\x64\x64\x65\x6e\0\x74\
\x6f\x74\x61\x6c\0\x6f\x70\x74\x69\x6f\x6e\x61\x6c\0\x2e\x6c\x6c\x76\x6d\x5f\
\x61\x64\x64\x72\x73\x69\x67\0\x6c\x69\x63\x65\x6e\x73\x65\0\x6d\x65\x61\x73\
\x75\x72\x65\0\x6d\x6f\x64\x65\0\x74\x68\x72\x65\x73\x68\x6f\x6c\x64\0\x2e\x73\
\x74\x72\x74\x61\x62\0\x2e\x73\x79\x6d\x74\x61\x62\0\x2e\x72\x6f\x64\x61\x74\
\x61\0\x2e\x64\x61\x74\x61\0\x2e\x72\x65\x6c\x2e\x42\x54\x46\0\x4c\x49\x43\x45\
\x4e\x53\x45\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\x83\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xa7\x0f\0\0\0\0\0\0\xb2\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\
\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x37\0\0\0\x01\0\0\0\x06\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\xb8\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x2e\0\0\0\x09\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\x20\x0d\0\0\0\0\0\0\x70\0\0\0\0\0\0\0\x10\0\0\0\x03\0\0\0\x08\0\0\0\0\0\
\0\0\x10\0\0\0\0\0\0\0\x36\0\0\0\x01\0\0\0\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\xf8\x01\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\x93\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\x02\0\0\0\
\0\0\0\x34\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x9b\
\0\0\0\x01\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\x02\0\0\0\0\0\0\x08\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0\x01\0\0\
\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x48\x02\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x1b\0\0\0\x08\0\0\0\x03\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\x88\x02\0\0\0\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x64\0\0\0\x01\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\0\x88\x02\0\0\0\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\xa5\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x98\
\x02\0\0\0\0\0\0\x69\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\
\0\0\0\0\xa1\0\0\0\x09\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x90\x0d\0\0\0\0\
\0\0\x80\0\0\0\0\0\0\0\x10\0\0\0\x0b\0\0\0\x08\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\
\x0b\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\x0a\0\0\0\0\0\0\xc8\
\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\
\x09\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\x0e\0\0\0\0\0\0\x90\x01\0\0\0\
\0\0\0\x10\0\0\0\x0d\0\0\0\x08\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x56\0\0\0\x03\
\x4c\xff\x6f\0\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\0\xa0\x0f\0\0\0\0\0\0\x07\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x8b\0\0\0\x02\0\0\0\0\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xd0\x0b\0\0\0\0\0\0\x50\x01\0\0\0\0\0\0\x01\0\0\
\0\x05\0\0\0\x08\0\0\0\0\0\0\0\x18\0\0\0\0\0\0\0";
