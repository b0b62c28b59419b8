//! Attachments that are one call each: cgroups, network namespaces, what a program was loaded for, iterators.

use super::{Link, Place, Program, explain::refused};
use crate::sys::{IterTarget, LinkCreate, LinkOptions, Order, Target, raw_tracepoint_open};
use alveary_abi::{AttachType, Errno, ProgType};
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place as At};
use std::{ffi::CString, os::fd::BorrowedFd};

pub(super) fn attach_cgroup(
    program: Program<'_>,
    place: &Place<'_>,
    directory: BorrowedFd<'_>,
    order: Order<'_>,
) -> Result<Link, Diagnostic> {
    // `cgroup/skb` leaves the direction open, and so do objects of old.
    let implied = match program.ty {
        ProgType::SOCK_OPS => AttachType::CGROUP_SOCK_OPS,
        ProgType::CGROUP_DEVICE => AttachType::CGROUP_DEVICE,
        ProgType::CGROUP_SYSCTL => AttachType::CGROUP_SYSCTL,
        ProgType::CGROUP_SOCK => AttachType::CGROUP_INET_SOCK_CREATE,
        _ => AttachType::CGROUP_INET_INGRESS,
    };
    let ty = program.attach_type(implied);
    let create =
        LinkCreate { options: LinkOptions::Order(order), ..LinkCreate::new(program.fd, Target::Fd(directory), ty) };
    let fd = create.create().map_err(|error| {
        let why = refused(program, place, &error);
        match error.errno() {
            Errno::EPERM => why.note("a control group above may have a program that allows no others below it"),
            Errno::EBADF => why.expected("the directory of a control group of version 2"),
            _ => why,
        }
    })?;
    Ok(Link::of_fd(place, fd))
}

pub(super) fn attach_netns(program: Program<'_>, place: &Place<'_>, netns: BorrowedFd<'_>) -> Result<Link, Diagnostic> {
    let ty = match program.ty {
        ProgType::FLOW_DISSECTOR => AttachType::FLOW_DISSECTOR,
        _ => AttachType::SK_LOOKUP,
    };
    let fd = LinkCreate::new(program.fd, Target::Fd(netns), ty).create().map_err(|error| {
        let why = refused(program, place, &error);
        match error.errno() {
            Errno::E2BIG | Errno::EEXIST => {
                why.note("a network namespace has one flow dissector; the machine's first one excludes all others")
            }
            _ => why,
        }
    })?;
    Ok(Link::of_fd(place, fd))
}

/// A raw tracepoint by name, or without one what a program was loaded for.
pub(super) fn attach_raw_tracepoint(
    program: Program<'_>,
    place: &Place<'_>,
    name: Option<&String>,
    cookie: u64,
) -> Result<Link, Diagnostic> {
    let text = name.map(|name| CString::new(name.as_str())).transpose();
    let text = text.map_err(|_| Diagnostic::new("attach", "a tracepoint's name holds a zero byte", At::Nowhere))?;
    // Cookies of raw tracepoints came with Linux 6.10; of tracing programs with 5.19, by links.
    let by_link = name.is_none() && cookie != 0;
    let made = if by_link {
        let ty = program.attach_type(AttachType::TRACE_FENTRY);
        let options = LinkOptions::Tracing { target: TypeId::VOID, cookie };
        LinkCreate { options, ..LinkCreate::new(program.fd, Target::None, ty) }.create()
    } else {
        raw_tracepoint_open(text.as_deref(), program.fd, cookie)
    };
    let fd = made.map_err(|error| {
        let why = refused(program, place, &error);
        match (error.errno(), name) {
            (Errno::ENOENT, Some(name)) => why.note(format!("this kernel has no tracepoint `{name}`")).help(
                "names are those of /sys/kernel/tracing/events; system calls are `sys_enter` and `sys_exit` here",
            ),
            (Errno::EBUSY, None) => why.note("the function has a tracer that excludes others"),
            _ => why,
        }
    })?;
    Ok(Link::of_fd(place, fd))
}

pub(super) fn attach_replacement(
    program: Program<'_>,
    place: &Place<'_>,
    target: BorrowedFd<'_>,
    function: TypeId,
) -> Result<Link, Diagnostic> {
    let made = if function == TypeId::VOID {
        raw_tracepoint_open(None, program.fd, 0)
    } else {
        let options = LinkOptions::TargetBtf { id: function };
        // The kernel takes the attach type of such programs from no list: it has to be none.
        let none = AttachType(0);
        LinkCreate { options, ..LinkCreate::new(program.fd, Target::Fd(target), none) }.create()
    };
    Ok(Link::of_fd(place, made.map_err(|error| refused(program, place, &error))?))
}

pub(super) fn attach_iterator(
    program: Program<'_>,
    place: &Place<'_>,
    over: IterTarget<'_>,
) -> Result<Link, Diagnostic> {
    let create = LinkCreate {
        options: LinkOptions::Iter(over),
        ..LinkCreate::new(program.fd, Target::None, AttachType::TRACE_ITER)
    };
    Ok(Link::of_fd(place, create.create().map_err(|error| refused(program, place, &error))?))
}
