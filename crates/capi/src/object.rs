//! Objects, and loading them.

use crate::{
    boundary::{bytes, copy_out, enter, free, given, given_mut, text},
    error::{Failure, alveary_error, string},
    map::alveary_map,
    memory,
    target::alveary_target,
};
use alveary::{
    Loaded, Loader, Object, ProgramRef, User,
    abi::{Profile, ProgType},
    diag::{Diagnostic, Place, did_you_mean},
    isa::{Endian, Insn, Inst, decode},
    runtime::Trust,
    spec::{Program, Resolved},
};
use std::{
    ffi::{CString, c_char, c_int, c_void},
    sync::Arc,
};

/// An object file, or instructions. Opaque to C.
pub(crate) enum alveary_object {
    File(Object),
    Code(Box<Program>),
}

impl alveary_object {
    /// The file, for what bare instructions do not have.
    fn file(&mut self, what: &str) -> Result<&mut Object, Failure> {
        match self {
            alveary_object::File(object) => Ok(object),
            alveary_object::Code(_) => {
                let why = Diagnostic::new("not-found", format!("bare instructions have no {what}"), Place::Nowhere);
                Err(why.expected("an object file").into())
            }
        }
    }
}

/// An object on a target. Opaque to C; what it lends out stands in boxes, whose addresses stay.
pub(crate) struct alveary_loaded {
    loaded: Arc<Loaded<User>>,
    programs: Box<[alveary_program]>,
    maps: Box<[alveary_map]>,
}

/// A loaded program. Opaque to C.
pub(crate) struct alveary_program {
    loaded: Arc<Loaded<User>>,
    index: usize,
    name: CString,
    /// Why each of its accesses is checked, if it is not proven.
    unproven: Option<CString>,
}

/// Why each of a program's accesses is checked, if they are.
fn unproven(trust: &Trust) -> Option<CString> {
    match trust {
        Trust::Proven(_) => None,
        Trust::NotProven(why) => Some(string(why)),
        Trust::Unverified => Some(string("it was loaded unverified")),
    }
}

impl alveary_program {
    /// The program.
    pub(crate) fn get(&self) -> ProgramRef<'_, User> {
        self.loaded.programs().nth(self.index).expect("its index is one of the object's programs")
    }
}

/// How an object is loaded, as in the header.
#[repr(C)]
struct alveary_load_options {
    programs: *const *const c_char,
    program_count: usize,
    ty: *const c_char,
}

/// [`alveary_load_options`] as we read them.
#[derive(Default)]
struct Options<'a> {
    programs: Option<Vec<&'a str>>,
    ty: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// # Safety
    /// The options are what the header says, for `'a`.
    unsafe fn read(options: &'a alveary_load_options) -> Result<Options<'a>, Failure> {
        let mut read = Options::default();
        if !options.programs.is_null() {
            let name = |i| {
                // SAFETY: there are as many names as the caller says.
                unsafe { text(*options.programs.add(i), "a program's name") }
            };
            read.programs = Some((0..options.program_count).map(name).collect::<Result<_, _>>()?);
        }
        if !options.ty.is_null() {
            // SAFETY: not NULL, thus a string.
            read.ty = Some(unsafe { text(options.ty, "the program type") }?);
        }
        Ok(read)
    }
}

fn load(object: &alveary_object, target: &alveary_target, options: &Options<'_>) -> Result<alveary_loaded, Failure> {
    let profile = &target.user.runtime().kernel().profile;
    let ty = options.ty.map(|name| type_of(name, profile)).transpose()?;
    let mut loader = Loader::new(target.user.clone());
    let loaded = match object {
        alveary_object::File(object) => {
            for name in options.programs.iter().flatten() {
                loader = loader.program(name);
            }
            if let Some(ty) = ty {
                loader = loader.program_type(ty);
            }
            loader.load(object)?
        }
        alveary_object::Code(program) => {
            let program = Program { ty: ty.unwrap_or(program.ty), ..Program::clone(program) };
            let programs = vec![Arc::new(program)];
            loader.load_resolved(Resolved { endian: Endian::HOST, maps: Default::default(), programs, btf: None })?
        }
    };
    let loaded = Arc::new(loaded);
    let programs = loaded.programs().enumerate().map(|(index, program)| alveary_program {
        loaded: loaded.clone(),
        index,
        name: string(&program.spec().name),
        unproven: unproven(program.handle().trust()),
    });
    let maps = loaded.maps().map(|(_, map)| alveary_map::new(map.clone()));
    Ok(alveary_loaded { programs: programs.collect(), maps: maps.collect(), loaded: loaded.clone() })
}

fn type_of(name: &str, profile: &Profile) -> Result<ProgType, Failure> {
    let rows = &profile.tables().prog_types;
    rows.iter().find(|row| row.name == name).map(|row| row.ty).ok_or_else(|| {
        let why = Diagnostic::new("program-type", format!("there is no program type `{name}`"), Place::Nowhere);
        match did_you_mean(name, rows.iter().map(|row| row.name)) {
            Some(near) => why.help(format!("did you mean `{near}`?")),
            None => why.help("names are those of `bpftool`: `xdp`, `sched_cls`; or `memory`"),
        }
        .into()
    })
}

/// A program from bare instructions. Those that are undefined are refused when it is loaded, by their index.
fn code(bytes: &[u8], name: &str) -> Result<Program, Failure> {
    let (slots, rest) = bytes.as_chunks();
    if slots.is_empty() || !rest.is_empty() {
        let found = format!("{} bytes", bytes.len());
        return Err(Failure::wrong("this is no code".into(), "instructions of 8 bytes each, one at least", found));
    }
    let insns: Vec<Insn> = slots.iter().map(|slot| Insn::from_bytes(*slot, Endian::HOST)).collect();
    let mut starts = vec![0];
    let mut at = 0;
    while let Ok(inst) = decode(&insns, at) {
        if let Inst::CallLocal { rel } | Inst::FuncAddr { rel, .. } = inst {
            let start = at as i64 + 1 + i64::from(rel);
            starts.extend(u32::try_from(start).ok().filter(|start| (*start as usize) < insns.len()));
        }
        at += inst.slots();
    }
    starts.sort_unstable();
    starts.dedup();
    let function = |start: u32| if start == 0 { name.into() } else { format!("{name}+{start}").into() };
    Ok(Program {
        name: name.into(),
        section: "".into(),
        ty: memory::TYPE,
        insns,
        subprogs: starts.into_iter().map(|start| (start, function(start))).collect(),
        ..Program::default()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_open(path: *const c_char, error: *mut *mut alveary_error) -> *mut alveary_object {
    // SAFETY: the string and `error` are what the header says.
    unsafe {
        enter(error, std::ptr::null_mut(), || {
            let object = Object::open(text(path, "the path")?)?;
            Ok(Box::into_raw(Box::new(alveary_object::File(object))))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_open_memory(
    object: *const c_void,
    size: usize,
    error: *mut *mut alveary_error,
) -> *mut alveary_object {
    // SAFETY: the bytes and `error` are what the header says.
    unsafe {
        enter(error, std::ptr::null_mut(), || {
            let object = Object::parse(bytes(object, size, "the object's bytes")?)?;
            Ok(Box::into_raw(Box::new(alveary_object::File(object))))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_open_code(
    insns: *const c_void,
    size: usize,
    name: *const c_char,
    error: *mut *mut alveary_error,
) -> *mut alveary_object {
    // SAFETY: the bytes, the string and `error` are what the header says.
    unsafe {
        enter(error, std::ptr::null_mut(), || {
            let program = code(bytes(insns, size, "the code")?, text(name, "the program's name")?)?;
            Ok(Box::into_raw(Box::new(alveary_object::Code(Box::new(program)))))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_object_set_variable(
    object: *mut alveary_object,
    name: *const c_char,
    value: *const c_void,
    size: usize,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the string, the bytes and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let file = given_mut(object, "the object")?.file("variables")?;
            file.set_variable(text(name, "the variable's name")?, bytes(value, size, "the value")?)?;
            Ok(0)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_object_set_max_entries(
    object: *mut alveary_object,
    map: *const c_char,
    max_entries: u32,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the string and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let file = given_mut(object, "the object")?.file("maps")?;
            file.map_spec_mut(text(map, "the map's name")?)?.def.max_entries = max_entries;
            Ok(0)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_object_free(object: *mut alveary_object) {
    // SAFETY: NULL or an object that the caller gives up, as the header says.
    unsafe { free(object) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_load(
    object: *const alveary_object,
    target: *const alveary_target,
    options: *const alveary_load_options,
    error: *mut *mut alveary_error,
) -> *mut alveary_loaded {
    // SAFETY: the handles, the options, if any, and `error` are what the header says.
    unsafe {
        enter(error, std::ptr::null_mut(), || {
            let options = options.as_ref().map(|options| Options::read(options)).transpose()?.unwrap_or_default();
            let loaded = load(given(object, "the object")?, given(target, "the target")?, &options)?;
            Ok(Box::into_raw(Box::new(loaded)))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_loaded_free(loaded: *mut alveary_loaded) {
    // SAFETY: NULL or a loaded object that the caller gives up, as the header says.
    unsafe { free(loaded) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_variable(
    loaded: *const alveary_loaded,
    name: *const c_char,
    value: *mut c_void,
    size: usize,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the string, the place and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let name = text(name, "the variable's name")?;
            let found = given(loaded, "the loaded object")?.loaded.variable(name)?;
            if found.len() != size {
                let expected = format!("{} bytes", found.len());
                return Err(Failure::wrong(format!("`{name}` is not of this size"), expected, format!("{size} bytes")));
            }
            if value.is_null() {
                return Err(Failure::null("the place for the value"));
            }
            copy_out(&found, value, size);
            Ok(0)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_program_by_name(
    loaded: *const alveary_loaded,
    name: *const c_char,
    error: *mut *mut alveary_error,
) -> *const alveary_program {
    // SAFETY: the handle, the string and `error` are what the header says.
    unsafe {
        enter(error, std::ptr::null(), || {
            let object = given(loaded, "the loaded object")?;
            let wanted = object.loaded.program(text(name, "the program's name")?)?;
            let found = object.programs.iter().find(|program| std::ptr::eq(program.get().spec(), wanted.spec()));
            Ok(found.map_or(std::ptr::null(), std::ptr::from_ref))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_program_at(loaded: *const alveary_loaded, index: usize) -> *const alveary_program {
    // SAFETY: NULL or a loaded object, as the header says.
    let loaded = unsafe { loaded.as_ref() };
    loaded.and_then(|loaded| loaded.programs.get(index)).map_or(std::ptr::null(), std::ptr::from_ref)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_program_name(program: *const alveary_program) -> *const c_char {
    // SAFETY: NULL or a program, as the header says.
    unsafe { program.as_ref() }.map_or(c"".as_ptr(), |program| program.name.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_program_unproven(program: *const alveary_program) -> *const c_char {
    // SAFETY: NULL or a program, as the header says.
    let why = unsafe { program.as_ref() }.and_then(|program| program.unproven.as_ref());
    why.map_or(std::ptr::null(), |why| why.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_by_name(
    loaded: *const alveary_loaded,
    name: *const c_char,
    error: *mut *mut alveary_error,
) -> *const alveary_map {
    // SAFETY: the handle, the string and `error` are what the header says.
    unsafe {
        enter(error, std::ptr::null(), || {
            let object = given(loaded, "the loaded object")?;
            let name = text(name, "the map's name")?;
            // Says which names there are, if it is none of them.
            object.loaded.map(name)?;
            let at = object.loaded.maps().position(|(there, _)| there == name);
            Ok(at.and_then(|at| object.maps.get(at)).map_or(std::ptr::null(), std::ptr::from_ref))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_map_at(loaded: *const alveary_loaded, index: usize) -> *const alveary_map {
    // SAFETY: NULL or a loaded object, as the header says.
    let loaded = unsafe { loaded.as_ref() };
    loaded.and_then(|loaded| loaded.maps.get(index)).map_or(std::ptr::null(), std::ptr::from_ref)
}
