//! `alveary feature list_builtins`: the names that this version knows, whatever the kernel has.

use crate::{
    bpftool::{json::Json, options::Shape, words::Words},
    failure::Failure,
    output,
};
use alveary_abi::Profile;
use alveary_linux::sys::LinkType;
use alveary_sort::Sort;
use clap::Args;

/// List the names of program types, map types, attach types, link types or helpers that this version knows
#[derive(Debug, Args)]
pub(super) struct ListBuiltins {
    /// `prog_types`, `map_types`, `attach_types`, `link_types` or `helpers`
    #[arg(value_name = "GROUP", required = true)]
    words: Vec<String>,
}

impl ListBuiltins {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let profile = Profile::linux_6_18();
        let tables = profile.tables();
        let unspecified = |names: Vec<String>| [vec!["unspec".to_owned()], names].concat();
        let names = if words.is("prog_types") {
            unspecified(tables.prog_types.iter().map(|row| row.name.to_owned()).collect())
        } else if words.is("map_types") {
            unspecified(tables.map_types.iter().map(|row| row.name.to_owned()).collect())
        } else if words.is("attach_types") {
            tables.attach_types.iter().map(|row| row.name.to_owned()).collect()
        } else if words.is("link_types") {
            let names = (1..).map_while(|number| LinkType(number).name());
            unspecified(names.map(str::to_owned).collect())
        } else if words.is("helpers") {
            let mut helpers: Vec<_> = tables.helpers.iter().map(|helper| (helper.id.0, helper.name)).collect();
            helpers.order();
            let names = helpers.into_iter().map(|(_, name)| format!("bpf_{name}"));
            std::iter::once("bpf_unspec".to_owned()).chain(names).collect()
        } else {
            return Err(words.unexpected("`prog_types`, `map_types`, `attach_types`, `link_types` or `helpers`"));
        };
        words.end()?;
        output::write(|out| match shape {
            Shape::Text => names.iter().try_for_each(|name| writeln!(out, "{name}")),
            Shape::Json { pretty } => {
                let mut json = Json::new(&mut *out, pretty);
                json.array(|json| names.iter().try_for_each(|name| json.value(name)))?;
                writeln!(out)
            }
        })
    }
}
