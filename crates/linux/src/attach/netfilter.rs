//! Netfilter hooks.

use super::{Family, Link, Place, Program, explain::refused};
use crate::sys::{LinkCreate, LinkOptions, Target};
use alveary_abi::{AttachType, Errno};
use alveary_diag::Diagnostic;

const BPF_F_NETFILTER_IP_DEFRAG: u32 = 1;

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    family: Family,
    hook: u32,
    priority: i32,
    defragment: bool,
) -> Result<Link, Diagnostic> {
    let family = match family {
        Family::Ipv4 => libc::NFPROTO_IPV4,
        Family::Ipv6 => libc::NFPROTO_IPV6,
    } as u32;
    let flags = if defragment { BPF_F_NETFILTER_IP_DEFRAG } else { 0 };
    let options = LinkOptions::Netfilter { family, hook, priority, flags };
    let create = LinkCreate { options, ..LinkCreate::new(program.fd, Target::None, AttachType::NETFILTER) };
    let fd = create.create().map_err(|error| {
        let why = refused(program, place, &error);
        match error.errno() {
            Errno::EBUSY => why.note(format!("priority {priority} of this hook is taken")).help("choose another one"),
            Errno::ERANGE => why.expected("a priority other than the smallest and the largest number"),
            _ => why,
        }
    })?;
    Ok(Link::of_fd(place, fd))
}
