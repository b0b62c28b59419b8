//! What a program type offers: fields of the context, helpers, whether there is a packet. Read from abi's tables.

use super::maps;
use alveary_abi::{Arg, FieldKind, Helper, HelperId, Profile, ProgType, Proto};
use alveary_isa::Width;

/// What a program would need to run.
#[derive(Clone, Copy, Debug)]
pub enum Needs<'a> {
    /// A helper.
    Helper(HelperId),
    /// A field of the context, by name.
    Field(&'a str),
}

/// A helper that is called with what its row says.
#[derive(Clone, Debug)]
pub(super) struct Callable {
    pub(super) row: &'static Helper,
    pub(super) proto: &'static Proto,
    /// The maps that it takes, by index.
    pub(super) maps: Vec<u32>,
}

/// Where the packet is: the offsets of `data`, `data_end` and `data_meta`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketFields {
    pub(super) data: i16,
    pub(super) end: i16,
    pub(super) meta: Option<i16>,
    pub(super) writable: bool,
}

#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) ty: ProgType,
    pub(super) helpers: Vec<Callable>,
    /// Numbers in the context.
    pub(super) readable: Vec<(i16, Width)>,
    pub(super) writable: Vec<(i16, Width)>,
    pub(super) packet: Option<PacketFields>,
    /// `ld_abs` and `ld_ind` are there.
    pub(super) legacy: bool,
    /// Whether random numbers, callbacks, records of ring buffers and tail calls can be.
    pub(super) random: bool,
    pub(super) loops: bool,
    pub(super) for_each: bool,
    pub(super) records: bool,
    pub(super) tail_calls: bool,
    /// The largest return value that is always allowed.
    pub(super) returns: i32,
}

impl Surroundings {
    pub(super) fn of(ty: ProgType, can: &impl Fn(ProgType, Needs<'_>) -> bool) -> Surroundings {
        let profile = Profile::linux_6_18();
        let row = profile.prog_type(ty);
        let fields = row.and_then(|row| row.ctx).map_or(&[][..], |layout| layout.fields);
        let allowed = fields.iter().filter_map(|field| {
            let access = field.access(ty, None, profile.version)?;
            can(ty, Needs::Field(field.name)).then_some((field, access))
        });
        let allowed: Vec<_> = allowed.collect();
        let places = |writes: bool| {
            let fits = allowed.iter().filter(|(field, access)| {
                field.kind == FieldKind::Scalar && if writes { access.writes() } else { access.reads() }
            });
            fits.flat_map(|(field, _)| {
                (0..field.count).map(|n| ((field.off + n * field.width as u16) as i16, field.width))
            })
            .collect()
        };
        let pointer = |kind| allowed.iter().find(|(field, _)| field.kind == kind).map(|(field, _)| field.off as i16);
        let packet = pointer(FieldKind::PacketStart).zip(pointer(FieldKind::PacketEnd)).map(|(data, end)| {
            let writable = row.is_some_and(|row| row.direct_packet_write);
            PacketFields { data, end, meta: pointer(FieldKind::PacketMeta), writable }
        });
        let has = |id| profile.helper(id).is_some_and(|row| row.proto(ty, None, profile.version).is_some());
        let has = |id| has(id) && can(ty, Needs::Helper(id));
        Surroundings {
            ty,
            helpers: callable(ty, &profile, can),
            readable: places(false),
            writable: places(true),
            packet,
            legacy: matches!(ty, ProgType::SOCKET_FILTER | ProgType::SCHED_CLS | ProgType::SCHED_ACT),
            random: has(HelperId::GET_PRANDOM_U32),
            loops: has(HelperId::LOOP),
            for_each: has(HelperId::FOR_EACH_MAP_ELEM),
            records: has(HelperId::RINGBUF_RESERVE) && has(HelperId::RINGBUF_SUBMIT),
            tail_calls: has(HelperId::TAIL_CALL),
            returns: if ty == ProgType::CGROUP_SKB { 1 } else { 2 },
        }
    }
}

fn callable(ty: ProgType, profile: &Profile, can: &impl Fn(ProgType, Needs<'_>) -> bool) -> Vec<Callable> {
    let takes = |row: &Helper, map: u32| {
        let of = profile.map_type(maps::shape(map).0);
        of.is_some_and(|of| of.helpers.contains(&row.id))
    };
    let rows = profile.tables().helpers.iter().filter(|row| can(ty, Needs::Helper(row.id)));
    rows.filter_map(|row| {
        let proto = row.proto(ty, None, profile.version)?;
        let maps: Vec<u32> = (0..maps::COUNT).filter(|map| takes(row, *map)).collect();
        let wants_map = proto.args.contains(&Arg::Map);
        (plain(row, proto) && !(wants_map && maps.is_empty())).then_some(Callable { row, proto, maps })
    })
    .collect()
}

/// Whether a call needs nothing but what stands in its prototype.
fn plain(row: &Helper, proto: &Proto) -> bool {
    let simple = |arg: &Arg| {
        matches!(
            arg,
            Arg::None
                | Arg::Any
                | Arg::Ctx { .. }
                | Arg::Map
                | Arg::MapKey
                | Arg::MapValue { .. }
                | Arg::Mem { .. }
                | Arg::Size { .. }
                | Arg::ConstStr
        )
    };
    let effects = &proto.effects;
    proto.args.iter().all(simple)
        && !(effects.acquires || effects.releases.is_some() || effects.raw_address || effects.sleeps)
        && !(effects.takes_lock || effects.drops_lock)
        && row.id != HelperId::TAIL_CALL
}
