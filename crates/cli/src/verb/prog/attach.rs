//! `alveary prog attach` and `detach`: programs on maps of sockets, and the flow dissector of a network namespace.

use crate::{
    bpftool::{options::Options, select, words::Words},
    failure::Failure,
};
use alveary_abi::AttachType;
use alveary_linux::sys::{ProgAttach, Target};
use clap::Args;
use std::os::fd::{AsFd, OwnedFd};

/// A program, and where it is attached
#[derive(Debug, Args)]
#[command(
    after_help = "Types: sk_msg_verdict, sk_skb_verdict, sk_skb_stream_verdict, sk_skb_stream_parser (with a map of
sockets), flow_dissector (of this network namespace)

Examples:
  alveary prog attach name verdict sk_msg_verdict name sockets
  alveary prog detach pinned /sys/fs/bpf/dissector flow_dissector"
)]
pub(super) struct Attached {
    /// The program (`id ID`, `name NAME`, `tag TAG` or `pinned FILE`), the type, and a map
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
}

/// The types, and whether a map of sockets is meant.
const TYPES: [(&str, AttachType, bool); 5] = [
    ("sk_msg_verdict", AttachType::SK_MSG_VERDICT, true),
    ("sk_skb_verdict", AttachType::SK_SKB_VERDICT, true),
    ("sk_skb_stream_verdict", AttachType::SK_SKB_STREAM_VERDICT, true),
    ("sk_skb_stream_parser", AttachType::SK_SKB_STREAM_PARSER, true),
    ("flow_dissector", AttachType::FLOW_DISSECTOR, false),
];

impl Attached {
    pub(super) fn attach(&self, options: Options, json: bool) -> Result<(), Failure> {
        let (program, ty, map) = self.read()?;
        ProgAttach::new(target(map.as_ref()), Some(program.as_fd()), ty).attach()?;
        options.shape(json).done()
    }

    pub(super) fn detach(&self, options: Options, json: bool) -> Result<(), Failure> {
        let (program, ty, map) = self.read()?;
        ProgAttach::new(target(map.as_ref()), Some(program.as_fd()), ty).detach()?;
        options.shape(json).done()
    }

    fn read(&self) -> Result<(OwnedFd, AttachType, Option<OwnedFd>), Failure> {
        let mut words = Words::new(&self.words);
        let program = select::prog(&mut words)?;
        let known = words.peek().and_then(|word| TYPES.iter().find(|(name, ..)| *name == word));
        let Some((_, ty, on_map)) = known else {
            let names = TYPES.map(|(name, ..)| format!("`{name}`")).join(", ");
            return Err(words.unexpected(&format!("one of {names}")));
        };
        words.take();
        let map = if *on_map { Some(select::map(&mut words)?) } else { None };
        words.end()?;
        Ok((program, *ty, map))
    }
}

fn target(map: Option<&OwnedFd>) -> Target<'_> {
    map.map_or(Target::None, |map| Target::Fd(map.as_fd()))
}
