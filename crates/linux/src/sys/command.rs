//! The commands' numbers and names (`enum bpf_cmd`).

use alveary_abi::Version;
use std::fmt;

macro_rules! commands {
    ($($name:ident = $number:literal, $text:literal, ($major:literal, $minor:literal);)*) => {
        /// A command of bpf(2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are the kernel's")]
        #[repr(i32)]
        pub enum Command {
            $($name = $number,)*
        }

        impl Command {
            /// Every command, by number.
            pub const ALL: &[Command] = &[$(Command::$name,)*];

            /// Its name in the UAPI.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Command::$name => $text,)*
                }
            }

            /// The first kernel that has it.
            #[must_use]
            pub const fn since(self) -> Version {
                match self {
                    $(Command::$name => Version($major, $minor),)*
                }
            }
        }
    };
}

commands! {
    MapCreate = 0, "BPF_MAP_CREATE", (3, 18);
    MapLookupElem = 1, "BPF_MAP_LOOKUP_ELEM", (3, 18);
    MapUpdateElem = 2, "BPF_MAP_UPDATE_ELEM", (3, 18);
    MapDeleteElem = 3, "BPF_MAP_DELETE_ELEM", (3, 18);
    MapGetNextKey = 4, "BPF_MAP_GET_NEXT_KEY", (3, 18);
    ProgLoad = 5, "BPF_PROG_LOAD", (3, 18);
    ObjPin = 6, "BPF_OBJ_PIN", (4, 4);
    ObjGet = 7, "BPF_OBJ_GET", (4, 4);
    ProgAttach = 8, "BPF_PROG_ATTACH", (4, 10);
    ProgDetach = 9, "BPF_PROG_DETACH", (4, 10);
    ProgTestRun = 10, "BPF_PROG_TEST_RUN", (4, 12);
    ProgGetNextId = 11, "BPF_PROG_GET_NEXT_ID", (4, 13);
    MapGetNextId = 12, "BPF_MAP_GET_NEXT_ID", (4, 13);
    ProgGetFdById = 13, "BPF_PROG_GET_FD_BY_ID", (4, 13);
    MapGetFdById = 14, "BPF_MAP_GET_FD_BY_ID", (4, 13);
    ObjGetInfoByFd = 15, "BPF_OBJ_GET_INFO_BY_FD", (4, 13);
    ProgQuery = 16, "BPF_PROG_QUERY", (4, 15);
    RawTracepointOpen = 17, "BPF_RAW_TRACEPOINT_OPEN", (4, 17);
    BtfLoad = 18, "BPF_BTF_LOAD", (4, 18);
    BtfGetFdById = 19, "BPF_BTF_GET_FD_BY_ID", (4, 18);
    TaskFdQuery = 20, "BPF_TASK_FD_QUERY", (4, 18);
    MapLookupAndDeleteElem = 21, "BPF_MAP_LOOKUP_AND_DELETE_ELEM", (4, 20);
    MapFreeze = 22, "BPF_MAP_FREEZE", (5, 2);
    BtfGetNextId = 23, "BPF_BTF_GET_NEXT_ID", (5, 4);
    MapLookupBatch = 24, "BPF_MAP_LOOKUP_BATCH", (5, 6);
    MapLookupAndDeleteBatch = 25, "BPF_MAP_LOOKUP_AND_DELETE_BATCH", (5, 6);
    MapUpdateBatch = 26, "BPF_MAP_UPDATE_BATCH", (5, 6);
    MapDeleteBatch = 27, "BPF_MAP_DELETE_BATCH", (5, 6);
    LinkCreate = 28, "BPF_LINK_CREATE", (5, 7);
    LinkUpdate = 29, "BPF_LINK_UPDATE", (5, 7);
    LinkGetFdById = 30, "BPF_LINK_GET_FD_BY_ID", (5, 8);
    LinkGetNextId = 31, "BPF_LINK_GET_NEXT_ID", (5, 8);
    EnableStats = 32, "BPF_ENABLE_STATS", (5, 8);
    IterCreate = 33, "BPF_ITER_CREATE", (5, 8);
    LinkDetach = 34, "BPF_LINK_DETACH", (5, 9);
    ProgBindMap = 35, "BPF_PROG_BIND_MAP", (5, 10);
    TokenCreate = 36, "BPF_TOKEN_CREATE", (6, 9);
    ProgStreamReadByFd = 37, "BPF_PROG_STREAM_READ_BY_FD", (6, 17);
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
