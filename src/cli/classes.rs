//! The class texts of a data set's prompts.

use std::collections::BTreeMap;

use aaclip::anchors::ClassName;
use aaclip::dataset::{Dataset, Naming};
use aaclip::{Detectors, Result};

/// How classes are named.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ClassArgs {
    /// The object in the pictures, for all classes [default: each class's name; `object` for a plain folder]. With the
    /// built-in model it is a label of the results and does not change scores
    #[arg(long, value_name = "TEXT")]
    pub class: Option<String>,

    /// The data set whose descriptions name the classes [default for AA-CLIP: the one that has all of them]
    #[arg(long, value_name = "NAME", conflicts_with = "class")]
    pub dataset_names: Option<String>,
}

/// The text of each class, and the data set that is known to have these classes.
pub struct Named {
    pub classes: BTreeMap<String, ClassName>,
    pub dataset: Option<String>,
}

/// Names the classes as the references do: AA-CLIP's by their descriptions, CLIP-AD's unchanged.
///
/// # Errors
/// A data set or class has no description.
pub fn name(data: &Dataset, args: &ClassArgs, detectors: &Detectors) -> Result<Named> {
    let keys = data.classes();
    let dataset = args.dataset_names.clone().or_else(|| detectors.prompts().dataset_of(&keys));
    let described = detectors.method().describes_classes || args.dataset_names.is_some();
    let naming = Naming {
        prompts: detectors.prompts(),
        class: args.class.as_deref(),
        dataset: dataset.as_deref().filter(|_| described),
        layout: data.layout,
    };
    let classes = keys.iter().map(|key| Ok((key.to_string(), naming.name(key)?))).collect::<Result<_>>()?;
    Ok(Named { classes, dataset })
}
