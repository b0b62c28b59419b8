//! A congestion control for TCP, registered.

use super::{
    bench::{Bench, Refusal, Steps, reason, vmlinux},
    lab::Lab,
    triggers,
};
use alveary_abi::{AttachType, Errno, MapType, ProgType, flags::BPF_F_LINK};
use alveary_btf::{Builder, Kind, New, Type};
use alveary_isa::Endian;
use alveary_linux::{
    attach::register,
    sys::{self, BtfLoad, MapCreate, ProgLoad},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

const NAME: &[u8] = b"alveary_test";
/// Members that a congestion control has to have, with what they return.
const MEMBERS: [(&str, &str); 3] = [("ssthresh", "r0 = 2"), ("undo_cwnd", "r0 = 2"), ("cong_avoid", "r0 = 0")];

pub(crate) fn congestion_control(bench: &Bench, _: &Lab) -> Steps {
    let kernel = vmlinux();
    let ops = kernel.find("tcp_congestion_ops", Kind::Struct);
    let wrapper = kernel.find("bpf_struct_ops_tcp_congestion_ops", Kind::Struct);
    let (Some(ops), Some(wrapper)) = (ops, wrapper) else {
        return Err(Refusal("the kernel's types have no tcp_congestion_ops".into()));
    };
    let members = |id| match kernel.ty(id) {
        Some(Type::Struct(composite)) => composite.members().collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let data =
        members(wrapper).into_iter().find(|member| member.name == "data").map_or(0, |m| m.bit_offset as usize / 8);
    let size = kernel.size_of(wrapper).unwrap_or(0) as usize;
    let mut value = vec![0u8; size];
    let mut programs: Vec<OwnedFd> = Vec::new();
    for (index, member) in (0u32..).zip(members(ops)) {
        let at = data + member.bit_offset as usize / 8;
        if member.name == "name" {
            value[at..at + NAME.len()].copy_from_slice(NAME);
        }
        let Some((name, tail)) = MEMBERS.iter().find(|(name, _)| *name == member.name) else { continue };
        let code = bench.code(&super::bench::Kindred::of(ProgType::STRUCT_OPS, tail));
        let load = ProgLoad {
            expected: Some(AttachType(index)),
            name,
            license: c"GPL",
            attach_btf_id: ops,
            ..ProgLoad::new(ProgType::STRUCT_OPS, &code)
        };
        let program = load.load().map_err(|error| Refusal(format!("load {name}: {}", error.errno())))?.fd;
        value[at..at + 8].copy_from_slice(&(program.as_raw_fd() as u64).to_ne_bytes());
        programs.push(program);
    }
    let mut types = Builder::new(Endian::HOST);
    types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let btf = BtfLoad { bytes: &types.write(), token: None }.load().map_err(|error| Refusal(error.to_string()))?;
    let map = MapCreate {
        map_type: MapType::STRUCT_OPS.0,
        key_size: 4,
        value_size: size as u32,
        max_entries: 1,
        map_flags: BPF_F_LINK,
        name: "attach_test",
        btf: Some(btf.as_fd()),
        btf_vmlinux_value_type: wrapper,
        ..MapCreate::default()
    };
    let map = map.create().map_err(|error: sys::Error| match error.errno() {
        Errno::EINVAL => Refusal("no links of kernel interfaces (Linux 6.4)".into()),
        errno => Refusal(format!("map: {errno}")),
    })?;
    let link = register(&map, &value, "alveary_test").map_err(|why| Refusal(reason(&why)))?;
    bench.watch(link, controlled)
}

/// A connection that asks for the congestion control by its name.
fn controlled() {
    let Some((mut client, mut server)) = triggers::connected("127.0.0.1:0") else { return };
    choose(&client);
    for _ in 0..4 {
        drop(client.write_all(&[0; 4096]));
        drop(server.read(&mut [0; 4096]));
        drop(server.write_all(b"more"));
        drop(client.read(&mut [0; 64]));
    }
}

fn choose(socket: &TcpStream) {
    // SAFETY: the option's value is a text of the length that is said.
    unsafe {
        let (value, len) = (NAME.as_ptr().cast(), NAME.len() as libc::socklen_t);
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_CONGESTION, value, len);
    }
}
