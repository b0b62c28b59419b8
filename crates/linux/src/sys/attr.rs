//! What each command is given (`union bpf_attr`), as the kernel lays it out, under the kernel's names. Nothing here has
//! padding: what the compiler would leave open is a field `_…` that stays zero. A test holds every offset against the
//! running kernel's BTF.

/// A struct of the UAPI: fields in order, all bytes accounted for. `at` is where the kernel's BTF describes it.
macro_rules! layout {
    ($(#[$doc:meta])* $vis:vis $name:ident at $path:literal { $($field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
        #[repr(C)]
        #[allow(missing_docs, reason = "the names are the kernel's")]
        $vis struct $name {
            $($vis $field: $ty,)*
        }

        impl Default for $name {
            fn default() -> Self {
                zerocopy::FromZeros::new_zeroed()
            }
        }

        #[cfg(test)]
        impl $crate::sys::tests::layout::Described for $name {
            const PATH: &'static str = $path;
            const FIELDS: &'static [(&'static str, usize, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field), std::mem::size_of::<$ty>()),)*];
        }
    };
}
pub(super) use layout;

/// A kernel name: 15 bytes and a zero.
pub(super) type ObjName = [u8; 16];

layout! { pub(super) MapCreateAttr at "bpf_attr" {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: ObjName,
    map_ifindex: u32,
    btf_fd: u32,
    btf_key_type_id: u32,
    btf_value_type_id: u32,
    btf_vmlinux_value_type_id: u32,
    map_extra: u64,
    value_type_btf_obj_fd: i32,
    map_token_fd: i32,
    excl_prog_hash: u64,
    excl_prog_hash_size: u32,
    _end: u32,
} }

layout! { pub(super) ElementAttr at "bpf_attr" {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
} }

layout! { pub(super) BatchAttr at "bpf_attr.batch" {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
} }

layout! { pub(super) ProgLoadAttr at "bpf_attr" {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: ObjName,
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
    attach_btf_obj_fd: u32,
    core_relo_cnt: u32,
    fd_array: u64,
    core_relos: u64,
    core_relo_rec_size: u32,
    log_true_size: u32,
    prog_token_fd: i32,
    fd_array_cnt: u32,
    signature: u64,
    signature_size: u32,
    keyring_id: i32,
} }

layout! { pub(super) ObjectAttr at "bpf_attr" {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
    path_fd: i32,
    _end: u32,
} }

layout! { pub(super) ProgAttachAttr at "bpf_attr" {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
    relative_fd: u32,
    expected_revision: u64,
} }

layout! { pub(super) TestRunAttr at "bpf_attr.test" {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    _end: u32,
} }

layout! { pub(super) IdAttr at "bpf_attr" {
    start_id: u32,
    next_id: u32,
    open_flags: u32,
    fd_by_id_token_fd: i32,
} }

layout! { pub(super) InfoAttr at "bpf_attr.info" {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
} }

layout! { pub(super) ProgQueryAttr at "bpf_attr.query" {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    count: u32,
    _pad: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
} }

layout! { pub(super) RawTracepointAttr at "bpf_attr.raw_tracepoint" {
    name: u64,
    prog_fd: u32,
    _pad: u32,
    cookie: u64,
} }

layout! { pub(super) BtfLoadAttr at "bpf_attr" {
    btf: u64,
    btf_log_buf: u64,
    btf_size: u32,
    btf_log_size: u32,
    btf_log_level: u32,
    btf_log_true_size: u32,
    btf_flags: u32,
    btf_token_fd: i32,
} }

layout! { pub(super) TaskFdAttr at "bpf_attr.task_fd_query" {
    pid: u32,
    fd: u32,
    flags: u32,
    buf_len: u32,
    buf: u64,
    prog_id: u32,
    fd_type: u32,
    probe_offset: u64,
    probe_addr: u64,
} }

layout! {
    /// What all links are made from; `options` depends on the attach type.
    pub(super) LinkCreateAttr at "bpf_attr.link_create" {
        prog_fd: u32,
        target_fd: u32,
        attach_type: u32,
        flags: u32,
        _options: [u64; 6],
    }
}

layout! { pub(super) IterAttr at "bpf_attr.link_create" {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_len: u32,
    _end: u32,
} }

layout! { pub(super) PerfEventAttr at "bpf_attr.link_create.perf_event" {
    bpf_cookie: u64,
} }

layout! { pub(super) KprobeMultiAttr at "bpf_attr.link_create.kprobe_multi" {
    flags: u32,
    cnt: u32,
    syms: u64,
    addrs: u64,
    cookies: u64,
} }

layout! { pub(super) TracingAttr at "bpf_attr.link_create.tracing" {
    target_btf_id: u32,
    _pad: u32,
    cookie: u64,
} }

layout! { pub(super) NetfilterAttr at "bpf_attr.link_create.netfilter" {
    pf: u32,
    hooknum: u32,
    priority: i32,
    flags: u32,
} }

layout! { pub(super) OrderAttr at "bpf_attr.link_create.tcx" {
    relative_fd: u32,
    _pad: u32,
    expected_revision: u64,
} }

layout! { pub(super) UprobeMultiAttr at "bpf_attr.link_create.uprobe_multi" {
    path: u64,
    offsets: u64,
    ref_ctr_offsets: u64,
    cookies: u64,
    cnt: u32,
    flags: u32,
    pid: u32,
    _end: u32,
} }

layout! { pub(super) LinkUpdateAttr at "bpf_attr.link_update" {
    link_fd: u32,
    new_prog_fd: u32,
    flags: u32,
    old_prog_fd: u32,
} }

layout! { pub(super) LinkDetachAttr at "bpf_attr.link_detach" {
    link_fd: u32,
} }

layout! { pub(super) EnableStatsAttr at "bpf_attr.enable_stats" {
    r#type: u32,
} }

layout! { pub(super) IterCreateAttr at "bpf_attr.iter_create" {
    link_fd: u32,
    flags: u32,
} }

layout! { pub(super) BindMapAttr at "bpf_attr.prog_bind_map" {
    prog_fd: u32,
    map_fd: u32,
    flags: u32,
} }

layout! { pub(super) TokenCreateAttr at "bpf_attr.token_create" {
    flags: u32,
    bpffs_fd: u32,
} }

layout! { pub(super) StreamReadAttr at "bpf_attr.prog_stream_read" {
    stream_buf: u64,
    stream_buf_len: u32,
    stream_id: u32,
    prog_fd: u32,
    _end: u32,
} }

layout! { pub(super) IterMapInfo at "bpf_iter_link_info.map" {
    map_fd: u32,
} }

layout! { pub(super) IterCgroupInfo at "bpf_iter_link_info.cgroup" {
    order: u32,
    cgroup_fd: u32,
    cgroup_id: u64,
} }

layout! { pub(super) IterTaskInfo at "bpf_iter_link_info.task" {
    tid: u32,
    pid: u32,
    pid_fd: u32,
} }
