//! The tables agree with themselves and, where it can be asked, with the kernel.

use crate::{
    Arg, AttachType, Errno, HelperId, MapType, MemSize, Profile, ProgType, RULES, Ret, Rule, RuleRow, SectionRest,
    Tables, Version,
};
use std::collections::{BTreeMap, HashSet};

mod kernel;

fn newest() -> Profile {
    Profile::linux_6_18()
}

#[test]
fn helpers_are_1_to_211_under_their_constants_names() {
    let tables = Tables::linux();
    assert_eq!(tables.helpers.len(), 211);
    for (at, row) in tables.helpers.iter().enumerate() {
        assert_eq!(row.id.0 as usize, at + 1, "{}", row.name);
        let (constant, id) = HelperId::NAMED[at];
        assert_eq!((constant.to_lowercase().as_str(), id), (row.name, row.id));
    }
}

#[test]
fn every_number_of_the_enums_has_a_row() {
    let tables = Tables::linux();
    let prog_types: Vec<_> = tables.prog_types.iter().map(|row| (row.name.to_uppercase(), row.ty)).collect();
    let map_types: Vec<_> = tables.map_types.iter().map(|row| (row.name.to_uppercase(), row.ty)).collect();
    let attach_types: Vec<_> = tables.attach_types.iter().map(|row| (row.name.to_uppercase(), row.ty)).collect();
    let named = |list: &[(&str, ProgType)]| list.iter().map(|&(n, ty)| (n.to_owned(), ty)).collect::<Vec<_>>();
    assert_eq!(prog_types, named(&ProgType::NAMED[1..]));
    let named = |list: &[(&str, MapType)]| list.iter().map(|&(n, ty)| (n.to_owned(), ty)).collect::<Vec<_>>();
    assert_eq!(map_types, named(&MapType::NAMED[1..]));
    let named = |list: &[(&str, AttachType)]| list.iter().map(|&(n, ty)| (n.to_owned(), ty)).collect::<Vec<_>>();
    assert_eq!(attach_types, named(AttachType::NAMED));
}

#[test]
fn every_row_is_documented_and_of_a_kernel_that_the_tables_know() {
    let tables = Tables::linux();
    let rows = (tables.helpers.iter().map(|row| (row.name, row.doc, row.since)))
        .chain(tables.prog_types.iter().map(|row| (row.name, row.doc, row.since)))
        .chain(tables.map_types.iter().map(|row| (row.name, row.doc, row.since)));
    for (name, doc, since) in rows {
        assert!(doc.ends_with('.') && doc.len() > 10, "{name}: {doc}");
        assert!(Version(3, 19) <= since && since <= Version::NEWEST, "{name}: {since}");
    }
}

#[test]
fn rules_are_rows_in_order() {
    let mut names = HashSet::new();
    assert!(RULES.is_sorted_by_key(|row| row.since));
    for row in RULES {
        assert!(names.insert(row.name), "{} is there twice", row.name);
        assert!(row.doc.ends_with('.') && row.doc.len() > 5, "{}: {}", row.name, row.doc);
        assert_eq!(RuleRow::of(row.rule), row);
        assert!(row.stable.is_sorted() && row.stable.iter().all(|(version, _)| *version < row.since), "{}", row.name);
        assert!(Profile::linux(row.since).has(row.rule));
        for &(version, level) in row.stable {
            let at = |level| Profile::linux(version).at_level(level).has(row.rule);
            assert!(at(level) && !at(level - 1), "{} at {version}.{level}", row.name);
        }
    }
    let page = include_str!("../../../docs/verifier.md");
    for row in RULES {
        let told = format!("| `{}` | {} | {} |", row.name, row.doc, row.kernels());
        assert!(page.contains(&told), "docs/verifier.md does not tell: {told}");
    }
    assert_eq!(RuleRow::of(Rule::UnwrittenStack).kernels(), "6.3, 5.10.222 and 6.1.100");
    assert_eq!(RuleRow::of(Rule::MayGoto).kernels(), "6.9");
}

#[test]
fn a_kernel_is_at_the_newest_level_that_is_known_unless_another_is_asked_for() {
    assert_eq!(Profile::linux(Version(6, 12)).release(), "6.12.117");
    assert_eq!(Profile::linux_6_18().release(), "6.18.44");
    assert_eq!(Profile::linux(Version(6, 11)).release(), "6.11.0");
    let old = Profile::linux(Version(6, 12)).at_level(74);
    assert_eq!((old.release().as_str(), old.has(Rule::ScalarForks)), ("6.12.74", false));
    assert!(old.at_level(75).has(Rule::ScalarForks));
    assert_eq!(Version(7, 2).newest_known(), None);
    assert_eq!(Version(7, 3).newest_known().as_deref(), Some("7.2.13"));
}

#[test]
fn sizes_follow_the_memory_that_they_measure() {
    for helper in Tables::linux().helpers.iter() {
        for proto in helper.protos {
            for (at, arg) in proto.args.iter().enumerate() {
                let name = helper.name;
                match *arg {
                    Arg::Mem { size: MemSize::Arg(size), .. } => {
                        assert_eq!(usize::from(size), at + 1, "{name}: argument {at}");
                        assert!(matches!(proto.args[at + 1], Arg::Size { .. }), "{name}: argument {at}");
                    }
                    Arg::Mem { size: MemSize::Fixed(bytes), aligned, .. } => {
                        assert!(bytes > 0 && (!aligned || bytes.is_power_of_two()), "{name}: argument {at}");
                    }
                    Arg::Size { .. } => {
                        assert!(
                            at > 0 && matches!(proto.args[at - 1], Arg::Mem { size: MemSize::Arg(_), .. }),
                            "{name}: argument {at}"
                        );
                    }
                    Arg::MapKey | Arg::MapValue { .. } => {
                        assert!(proto.args[..at].contains(&Arg::Map), "{name}: argument {at}");
                    }
                    Arg::None => assert!(proto.args[at..].iter().all(|arg| *arg == Arg::None), "{name}: a gap"),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn what_is_given_back_and_released_is_among_the_arguments() {
    for helper in Tables::linux().helpers.iter() {
        assert!(!helper.protos.is_empty(), "{}", helper.name);
        for proto in helper.protos {
            let name = helper.name;
            if let Some(arg) = proto.effects.releases {
                assert_ne!(proto.args[usize::from(arg)], Arg::None, "{name}");
            }
            match proto.ret {
                Ret::MapValue | Ret::MapValueOrNull => assert!(proto.args.contains(&Arg::Map), "{name}"),
                Ret::MemOrNull { size: MemSize::Arg(arg) } => {
                    assert_eq!(proto.args[usize::from(arg)], Arg::AllocSize, "{name}");
                }
                Ret::DynptrDataOrNull => assert!(proto.args.contains(&Arg::AllocSize), "{name}"),
                Ret::KptrOrNull => assert!(proto.args.contains(&Arg::Kptr), "{name}"),
                _ => {}
            }
        }
    }
}

#[test]
fn maps_and_helpers_name_each_other() {
    let profile = newest();
    let mut taken = HashSet::new();
    for map in profile.tables().map_types.iter() {
        for &id in map.helpers {
            let helper = profile.helper(id).expect("a helper that is in the tables");
            assert!(
                helper.protos.iter().all(|proto| proto.args.contains(&Arg::Map)),
                "{} in {}",
                helper.name,
                map.name
            );
            taken.insert(id);
        }
    }
    for helper in profile.tables().helpers.iter() {
        let takes = helper.protos.iter().any(|proto| proto.args.contains(&Arg::Map));
        assert_eq!(takes, taken.contains(&helper.id), "{}", helper.name);
    }
}

#[test]
fn fields_of_contexts_lie_side_by_side() {
    for prog in Tables::linux().prog_types.iter() {
        let Some(ctx) = prog.ctx else { continue };
        let mut end = 0;
        for field in ctx.fields {
            assert!(field.off >= end, "{}.{} overlaps", ctx.name, field.name);
            assert_eq!(field.off % field.width as u16, 0, "{}.{} is not aligned", ctx.name, field.name);
            end = field.off + field.size();
        }
        assert!(end <= ctx.size, "{}", ctx.name);
        let attached = || prog.attach.iter().map(|at| Some(*at)).chain([None]);
        for field in ctx.fields {
            let seen = attached().any(|at| field.access(prog.ty, at, Version::NEWEST).is_some());
            let others = ctx.name == "__sk_buff" || field.name == "egress_ifindex";
            assert!(seen || others, "{} never sees {}.{}", prog.name, ctx.name, field.name);
        }
    }
}

#[test]
fn the_egress_device_is_seen_in_devmaps_alone() {
    let profile = newest();
    let xdp = profile.prog_type(ProgType::XDP).expect("XDP");
    let field = xdp.ctx.and_then(|ctx| ctx.named("egress_ifindex")).expect("the field");
    assert!(field.access(ProgType::XDP, Some(AttachType::XDP_DEVMAP), Version::NEWEST).is_some());
    assert!(field.access(ProgType::XDP, Some(AttachType::XDP), Version::NEWEST).is_none());
    assert!(field.access(ProgType::XDP, None, Version::NEWEST).is_none());
}

#[test]
fn fields_of_sockets_have_sizes_of_their_own() {
    let field = |layout: &'static crate::CtxLayout, name| layout.named(name).expect("a field");
    let port = field(&crate::contexts::SOCK, "dst_port");
    assert!(port.admits(48, 4, false) && port.admits(48, 2, false) && port.admits(49, 1, false));
    assert!(!port.admits(50, 2, false) && !port.admits(51, 1, false), "padding");
    let family = field(&crate::contexts::SOCK, "family");
    assert!(family.admits(4, 1, false) && !family.admits(5, 1, false));
    let address = field(&crate::contexts::SOCK_ADDR, "user_ip6");
    assert!(address.admits(8, 8, true) && address.admits(12, 4, true) && address.admits(9, 1, false));
    assert!(!address.admits(8, 2, true), "stores are whole");
    let reply = field(&crate::contexts::SOCK_OPS, "reply");
    let access = |field: &crate::Field| field.access(ProgType::SOCK_OPS, None, Version::NEWEST);
    assert_eq!(access(reply), Some(crate::Access::ReadWrite));
    assert_eq!(access(field(&crate::contexts::SOCK_OPS, "op")), Some(crate::Access::Read));
}

#[test]
fn accesses_to_fields_have_the_sizes_that_linux_allows() {
    let skb = &crate::contexts::SK_BUFF;
    let field = |name| skb.named(name).expect("a field");
    let (mark, cb, data, sk) = (field("mark"), field("cb"), field("data"), field("sk"));
    assert!(mark.admits(8, 4, false) && mark.admits(9, 1, false) && mark.admits(10, 2, false));
    assert!(!mark.admits(9, 2, false), "not aligned");
    assert!(mark.admits(8, 4, true) && !mark.admits(8, 2, true), "stores are whole");
    assert!(cb.admits(48, 8, true) && cb.admits(67, 1, true) && cb.admits(52, 4, false));
    assert!(!cb.admits(64, 8, false), "past its end");
    assert!(data.admits(76, 4, false) && !data.admits(76, 2, false));
    assert!(sk.admits(168, 8, false) && !sk.admits(168, 4, false));
    assert_eq!(skb.at(51).map(|field| field.name), Some("cb"));
    assert_eq!(skb.at(181).map(|field| field.name), None, "padding");
    assert_eq!(skb.at(192).map(|field| field.name), None, "behind the end");
}

#[test]
fn section_names_are_unique_and_imply_an_attach_type_of_their_program_type() {
    let profile = newest();
    let mut seen = HashSet::new();
    for section in profile.tables().sections.iter() {
        assert!(seen.insert(section.prefix), "{} twice", section.prefix);
        let prog = profile.prog_type(section.ty).expect("a program type");
        assert!(section.attach.is_none_or(|attach| prog.attach.contains(&attach)), "{}", section.prefix);
    }
}

#[test]
fn sections_are_read_as_libbpf_reads_them() {
    let profile = newest();
    let read = |name: &str| {
        let found = profile.section(name)?;
        let prog = profile.prog_type(found.row.ty)?.name;
        Some((prog, found.row.attach.and_then(|at| Some(profile.attach_type(at)?.name)), found.rest.map(str::to_owned)))
    };
    let rest = |text: &str| Some(text.to_owned());
    assert_eq!(read("xdp"), Some(("xdp", Some("xdp"), None)));
    assert_eq!(read("xdp/devmap"), Some(("xdp", Some("xdp_devmap"), None)));
    assert_eq!(read("xdp.frags/cpumap"), Some(("xdp", Some("xdp_cpumap"), None)));
    assert_eq!(read("tp/syscalls/sys_enter_openat"), Some(("tracepoint", None, rest("syscalls/sys_enter_openat"))));
    assert_eq!(read("kprobe.multi/tcp_*"), Some(("kprobe", Some("trace_kprobe_multi"), rest("tcp_*"))));
    assert_eq!(
        read("uprobe.session.s//bin/sh:main"),
        Some(("kprobe", Some("trace_uprobe_session"), rest("/bin/sh:main")))
    );
    assert_eq!(read("tcx/ingress"), Some(("sched_cls", Some("tcx_ingress"), None)));
    assert_eq!(read("fentry.s/do_unlinkat"), Some(("tracing", Some("trace_fentry"), rest("do_unlinkat"))));
    assert_eq!(read("sk_skb/stream_parser/mine"), Some(("sk_skb", Some("sk_skb_stream_parser"), rest("mine"))));
    // What libbpf before 1.0 and iproute2 read.
    assert_eq!(read("xdp_drop_all"), Some(("xdp", Some("xdp"), rest("_drop_all"))));
    assert_eq!(read("xdp/drop_all"), Some(("xdp", Some("xdp"), rest("drop_all"))));
    assert_eq!(read("classifier"), Some(("sched_cls", None, None)));
    assert_eq!(read("prog"), Some(("xdp", Some("xdp"), None)));
    // No names of programs.
    assert_eq!(read("xdpress"), None);
    assert_eq!(read("syscall/x"), None);
    assert_eq!(read(".text"), None);
    assert_eq!(read(""), None);
    assert_eq!(read("größe/é"), None);
    assert_eq!(profile.section("lsm.s/file_open").map(|found| found.row.sleepable), Some(true));
    assert_eq!(
        profile.section("xdp.frags").map(|found| (found.row.frags, found.row.rest)),
        Some((true, SectionRest::Nothing))
    );
}

#[test]
fn lookups_find_what_the_kernel_has_and_nothing_newer() {
    let old = Profile::linux(Version(5, 4));
    assert!(old.helper(HelperId::MAP_LOOKUP_ELEM).is_some());
    assert!(old.helper(HelperId::RINGBUF_OUTPUT).is_none());
    assert!(old.helper_named("ringbuf_output").is_none());
    assert!(old.map_type(MapType::RINGBUF).is_none() && old.map_type_named("devmap_hash").is_some());
    assert!(old.prog_type(ProgType::TRACING).is_none() && old.attach_type(AttachType::XDP).is_none());
    let brings = old.tables().helpers.iter().find(|row| row.name == "ringbuf_output").map(|row| row.since);
    assert_eq!(brings, Some(Version(5, 8)), "an error can still say which kernel has it");
    assert_eq!(newest().helper_named("redirect_map").map(|row| row.id), Some(HelperId::REDIRECT_MAP));
    assert_eq!(newest().helper(HelperId(0)).map(|row| row.name), None);
}

#[test]
fn verdicts_have_names() {
    let profile = newest();
    assert_eq!(profile.verdict_name(ProgType::XDP, 1), Some("XDP_DROP"));
    assert_eq!(profile.verdict_name(ProgType::SCHED_CLS, -1), Some("TC_ACT_UNSPEC"));
    assert_eq!(profile.verdict_name(ProgType::SCHED_CLS, 2), Some("TC_ACT_SHOT"));
    assert_eq!(profile.verdict_name(ProgType::XDP, 99), None);
    assert_eq!(profile.verdict_name(ProgType::SOCKET_FILTER, 0), None, "a length");
}

#[test]
fn a_prototype_is_chosen_by_program_type_attach_type_and_kernel() {
    let profile = newest();
    let args = |name, ty, attach, kernel| {
        profile.helper_named(name).and_then(|row| row.proto(ty, attach, kernel)).map(|proto| proto.args[0])
    };
    let ctx = Some(Arg::Ctx { or_null: false });
    assert_eq!(args("get_socket_cookie", ProgType::SCHED_CLS, None, Version::NEWEST), ctx);
    assert_eq!(
        args("get_socket_cookie", ProgType::TRACING, Some(AttachType::TRACE_FENTRY), Version::NEWEST),
        Some(Arg::SockCommon { or_null: true })
    );
    assert_eq!(args("skb_load_bytes", ProgType::XDP, None, Version::NEWEST), None);
    let bind = |attach| args("bind", ProgType::CGROUP_SOCK_ADDR, Some(attach), Version::NEWEST);
    assert_eq!(bind(AttachType::CGROUP_INET4_CONNECT), ctx);
    assert_eq!(bind(AttachType::CGROUP_INET4_BIND), None);
    let comm = |kernel| args("get_current_comm", ProgType::XDP, None, kernel).is_some();
    assert!(!comm(Version(6, 12)) && comm(Version(6, 18)));
}

#[test]
fn return_rules_depend_on_the_attach_type() {
    let profile = newest();
    let range = |ty, attach, kernel| {
        let rule = profile.prog_type(ty)?.ret_rule(attach, kernel)?;
        Some((rule.min, rule.max))
    };
    let at = Some;
    assert_eq!(range(ProgType::CGROUP_SKB, at(AttachType::CGROUP_INET_EGRESS), Version::NEWEST), Some((0, 3)));
    assert_eq!(range(ProgType::CGROUP_SKB, at(AttachType::CGROUP_INET_INGRESS), Version::NEWEST), Some((0, 1)));
    let bind = |kernel| range(ProgType::CGROUP_SOCK_ADDR, at(AttachType::CGROUP_INET4_BIND), kernel);
    assert_eq!((bind(Version(5, 4)), bind(Version(5, 15))), (Some((0, 1)), Some((0, 3))));
    assert_eq!(range(ProgType::XDP, None, Version::NEWEST), None, "any value");
}

#[test]
fn rows_of_embedders_are_found_like_linuxs_own() {
    use crate::{Helper, ProgSet, ProgTypeRow, Proto};
    const FILTER: ProgType = ProgType(ProgType::FIRST_OWN.0);
    static PRICE: Helper = Helper::new(HelperId::FIRST_OWN, "price")
        .doc("The price of an article.")
        .protos(&[Proto::takes(&[Arg::Any]).by(ProgSet::of(&[FILTER]))]);
    let filter = ProgTypeRow { ty: FILTER, name: "filter", verdicts: &[(7, "SOLD")], ..Tables::linux().prog_types[0] };
    let tables = Tables::linux().with_helper(&PRICE).with_prog_type(filter);
    let profile = Profile::new(Version::NEWEST, crate::Limits::LINUX, tables);
    let price = profile.helper_named("price").expect("the helper");
    assert!(price.proto(FILTER, None, profile.version).is_some());
    assert!(price.proto(ProgType::XDP, None, profile.version).is_none());
    assert_eq!(profile.verdict_name(FILTER, 7), Some("SOLD"));
    assert!(profile.helper(HelperId(5)).is_some_and(|row| row.proto(FILTER, None, profile.version).is_some()));
}

#[test]
fn error_numbers_have_names() {
    assert_eq!(Errno::ENOENT, Errno(2));
    assert_eq!((Errno(524).name(), Errno(524).to_string()), (Some("ENOTSUPP"), "-ENOTSUPP".to_owned()));
    assert_eq!((Errno(9999).name(), Errno(9999).to_string()), (None, "-9999".to_owned()));
}

/// Names by number of one kind of constants, as the kernel's enum has them.
fn as_in_the_kernel<T: Copy>(prefix: &str, named: &[(&str, T)], number: impl Fn(T) -> u32) -> BTreeMap<String, u32> {
    named
        .iter()
        .map(|&(name, value)| {
            // Enumerators of helpers are in lower case.
            let name = if prefix == "BPF_FUNC_" { name.to_lowercase() } else { name.to_owned() };
            (format!("{prefix}{name}"), number(value))
        })
        .collect()
}
