//! Maps and their elements.

use super::{
    About, Command, Error, Result,
    attr::{ElementAttr, MapCreateAttr},
    call::{address, address_mut, call, call_fd, object_name, raw},
    cpus::possible_cpus,
    error::OfCommand,
    info::{MapInfo, map_info},
};
use alveary_abi::{
    Errno, MapType, Tables,
    flags::{BPF_F_TOKEN_FD, BPF_F_VTYPE_BTF_OBJ_FD},
};
use alveary_btf::TypeId;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// What a map is made from (`BPF_MAP_CREATE`).
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub struct MapCreate<'a> {
    /// `enum bpf_map_type`.
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub map_extra: u64,
    /// Its name; what the kernel does not take of it is left out.
    pub name: &'a str,
    pub inner_map: Option<BorrowedFd<'a>>,
    pub numa_node: u32,
    pub ifindex: u32,
    pub btf: Option<BorrowedFd<'a>>,
    pub btf_key_type: TypeId,
    pub btf_value_type: TypeId,
    /// Of a `struct_ops` map: the type in the kernel's BTF.
    pub btf_vmlinux_value_type: TypeId,
    /// Of a `struct_ops` map: the module's BTF in which that type stands; sets `BPF_F_VTYPE_BTF_OBJ_FD`.
    pub value_type_btf: Option<BorrowedFd<'a>>,
    /// A BPF token; sets `BPF_F_TOKEN_FD`.
    pub token: Option<BorrowedFd<'a>>,
}

impl MapCreate<'_> {
    /// Makes the map.
    ///
    /// # Errors
    /// The kernel's; `EINVAL` without asking it for a per-CPU map if nobody knows how many CPUs there are.
    pub fn create(&self) -> Result<Map> {
        let about = About::Map(MapType(self.map_type));
        let flag = |given: Option<BorrowedFd<'_>>, flag| if given.is_some() { flag } else { 0 };
        let mut attr = MapCreateAttr {
            map_type: self.map_type,
            key_size: self.key_size,
            value_size: self.value_size,
            max_entries: self.max_entries,
            map_flags: self.map_flags
                | flag(self.token, BPF_F_TOKEN_FD)
                | flag(self.value_type_btf, BPF_F_VTYPE_BTF_OBJ_FD),
            inner_map_fd: raw(self.inner_map),
            numa_node: self.numa_node,
            map_name: object_name(self.name),
            map_ifindex: self.ifindex,
            btf_fd: raw(self.btf),
            btf_key_type_id: self.btf_key_type.0,
            btf_value_type_id: self.btf_value_type.0,
            btf_vmlinux_value_type_id: self.btf_vmlinux_value_type.0,
            map_extra: self.map_extra,
            value_type_btf_obj_fd: raw(self.value_type_btf) as i32,
            map_token_fd: raw(self.token) as i32,
            ..MapCreateAttr::default()
        };
        // SAFETY: the attribute holds no address.
        let made = unsafe { call_fd(Command::MapCreate, &mut attr) };
        let shape = Shape::of(MapType(self.map_type), self.key_size, self.value_size);
        made.and_then(|fd| Ok(Map { fd, shape: shape.ok_or(Errno::EINVAL)? }))
            .of(Command::MapCreate)
            .map_err(|e| e.about(about).named(self.name))
    }
}

/// What the kernel reads and writes of user space's memory for one element.
#[derive(Clone, Copy, Debug)]
struct Shape {
    ty: MapType,
    key: usize,
    value: usize,
}

impl Shape {
    /// `None` if that depends on the number of CPUs, and it is not known.
    fn of(ty: MapType, key: u32, value: u32) -> Option<Shape> {
        let value = value as usize;
        let value = match ty {
            // Descriptors go in, ids come out.
            MapType::PROG_ARRAY
            | MapType::PERF_EVENT_ARRAY
            | MapType::CGROUP_ARRAY
            | MapType::ARRAY_OF_MAPS
            | MapType::HASH_OF_MAPS => 4,
            ty if per_cpu(ty) => value.next_multiple_of(8).checked_mul(possible_cpus()?)?,
            _ => value,
        };
        Some(Shape { ty, key: key as usize, value })
    }
}

fn per_cpu(ty: MapType) -> bool {
    Tables::linux().map_types.iter().any(|row| row.ty == ty && row.per_cpu)
}

/// A map of the kernel: its descriptor, and how long its keys and values are.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    shape: Shape,
}

impl Map {
    /// A map that exists, by its descriptor.
    ///
    /// # Errors
    /// `EINVAL` if the descriptor is no map's.
    pub fn from_fd(fd: OwnedFd) -> Result<Map> {
        let MapInfo { ty, key_size, value_size, .. } = map_info(fd.as_fd())?;
        let shape = Shape::of(ty, key_size, value_size).ok_or(Errno::EINVAL).of(Command::ObjGetInfoByFd)?;
        Ok(Map { fd, shape })
    }

    /// Another descriptor of the same map.
    ///
    /// # Errors
    /// If there are too many open files.
    pub fn try_clone(&self) -> std::io::Result<Map> {
        Ok(Map { fd: self.fd.try_clone()?, shape: self.shape })
    }

    /// Its type.
    #[must_use]
    pub fn map_type(&self) -> MapType {
        self.shape.ty
    }

    /// Bytes of a key.
    #[must_use]
    pub fn key_size(&self) -> usize {
        self.shape.key
    }

    /// Bytes of a value as user space sees it: of a per-CPU map a value for each possible CPU, each rounded up to 8.
    #[must_use]
    pub fn value_size(&self) -> usize {
        self.shape.value
    }

    /// What the kernel tells about it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn info(&self) -> Result<MapInfo> {
        map_info(self.fd.as_fd())
    }

    /// `BPF_MAP_LOOKUP_ELEM`: copies the value of `key` (empty for queues and stacks: the next value, which stays; a
    /// Bloom filter is asked whether it has `value`).
    ///
    /// # Errors
    /// `ENOENT` if there is none, `EINVAL` if a length is not the map's; else the kernel's.
    pub fn lookup(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<()> {
        self.check(Command::MapLookupElem, key, value.len())?;
        let value = address_mut(value);
        // SAFETY: key and value are as long as this map's.
        unsafe { self.element(Command::MapLookupElem, address(key), value, flags) }
    }

    /// `BPF_MAP_UPDATE_ELEM`: sets the value of `key` (empty for queues, stacks and Bloom filters: adds it).
    ///
    /// # Errors
    /// As for [`Map::lookup`].
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<()> {
        self.check(Command::MapUpdateElem, key, value.len())?;
        // SAFETY: key and value are as long as this map's.
        unsafe { self.element(Command::MapUpdateElem, address(key), address(value), flags) }
    }

    /// `BPF_MAP_UPDATE_ELEM` of a map whose values are descriptors: programs, maps, cgroups, perf events, sockets.
    ///
    /// # Errors
    /// As for [`Map::update`].
    pub fn update_fd(&self, key: &[u8], value: BorrowedFd<'_>, flags: u64) -> Result<()> {
        let raw = value.as_raw_fd();
        match self.shape.value {
            8 => self.update(key, &(raw as u64).to_ne_bytes(), flags),
            _ => self.update(key, &raw.to_ne_bytes(), flags),
        }
    }

    /// `BPF_MAP_DELETE_ELEM`.
    ///
    /// # Errors
    /// As for [`Map::lookup`].
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.check(Command::MapDeleteElem, key, self.shape.value)?;
        // SAFETY: the key is as long as this map's.
        unsafe { self.element(Command::MapDeleteElem, address(key), 0, 0) }
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`: takes a value out.
    ///
    /// # Errors
    /// As for [`Map::lookup`].
    pub fn take(&self, key: &[u8], value: &mut [u8], flags: u64) -> Result<()> {
        self.check(Command::MapLookupAndDeleteElem, key, value.len())?;
        let value = address_mut(value);
        // SAFETY: key and value are as long as this map's.
        unsafe { self.element(Command::MapLookupAndDeleteElem, address(key), value, flags) }
    }

    /// `BPF_MAP_GET_NEXT_KEY`: the key behind `after`, or the first.
    ///
    /// # Errors
    /// `ENOENT` at the end; else as for [`Map::lookup`].
    pub fn next_key(&self, after: Option<&[u8]>, next: &mut [u8]) -> Result<()> {
        self.check(Command::MapGetNextKey, after.unwrap_or(next), self.shape.value)?;
        self.check(Command::MapGetNextKey, next, self.shape.value)?;
        let next = address_mut(next);
        // SAFETY: both keys are as long as this map's.
        unsafe { self.element(Command::MapGetNextKey, after.map_or(0, address), next, 0) }
    }

    /// `BPF_MAP_FREEZE`: user space may no longer change it.
    ///
    /// # Errors
    /// `EBUSY` if it is mapped for writing or frozen already.
    pub fn freeze(&self) -> Result<()> {
        // SAFETY: there is no address.
        unsafe { self.element(Command::MapFreeze, 0, 0, 0) }
    }

    /// Refuses lengths that are not the map's: the kernel would read or write past the end.
    pub(super) fn check(&self, command: Command, key: &[u8], value: usize) -> Result<()> {
        if key.len() == self.shape.key && value == self.shape.value {
            return Ok(());
        }
        Err(self.error(command, Errno::EINVAL))
    }

    pub(super) fn error(&self, command: Command, errno: Errno) -> Error {
        Error::new(command, errno).about(About::Map(self.shape.ty))
    }

    /// # Safety
    /// Addresses are 0 where the command needs none, and else those of a key and a value of this map's lengths.
    unsafe fn element(&self, command: Command, key: u64, value: u64, flags: u64) -> Result<()> {
        let mut attr = ElementAttr { map_fd: self.fd.as_raw_fd() as u32, key, value, flags, ..ElementAttr::default() };
        // SAFETY: the caller's.
        let done = unsafe { call(command, &mut attr) };
        done.map(drop).map_err(|errno| self.error(command, errno))
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Map> for OwnedFd {
    fn from(map: Map) -> OwnedFd {
        map.fd
    }
}
