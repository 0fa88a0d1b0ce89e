//! What the prompts call the classes of a data set.

use std::collections::BTreeMap;

use aaclip::Result;
use aaclip::anchors::{ClassName, PromptSet};
use aaclip::dataset::{Dataset, Layout};

use crate::cli::session::Session;

/// How classes are named.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ClassArgs {
    /// What the pictures show, for all classes [default: each class's name; `object` for a plain folder]
    #[arg(long, value_name = "TEXT")]
    pub class: Option<String>,

    /// The data set whose descriptions name the classes [default for AA-CLIP: the one that has them all]
    #[arg(long, value_name = "NAME", conflicts_with = "class")]
    pub dataset_names: Option<String>,
}

/// What a class is called without a better name, as in `detect`.
pub const ANYTHING: &str = "object";

/// Class to its name in the prompts, and the data set that is known to have these classes.
pub struct Named {
    pub classes: BTreeMap<String, ClassName>,
    pub dataset: Option<String>,
}

/// Names the classes: as the references do, AA-CLIP's by their descriptions, CLIP-AD's as they are.
///
/// # Errors
/// A data set or class that is not described.
pub fn name(data: &Dataset, args: &ClassArgs, session: &Session) -> Result<Named> {
    let keys = data.classes();
    let dataset = args.dataset_names.clone().or_else(|| session.prompts.dataset_of(&keys));
    let described = session.method.adapts_towers() || args.dataset_names.is_some();
    let naming = Naming {
        prompts: &session.prompts,
        class: args.class.as_deref(),
        dataset: dataset.as_deref().filter(|_| described),
        layout: data.layout,
    };
    let classes = keys.iter().map(|key| Ok((key.to_string(), naming.name(key)?))).collect::<Result<_>>()?;
    Ok(Named { classes, dataset })
}

/// The rule by which a class gets its name in the prompts.
pub struct Naming<'a> {
    pub prompts: &'a PromptSet,
    /// What was said for all classes.
    pub class: Option<&'a str>,
    /// The data set whose descriptions are used.
    pub dataset: Option<&'a str>,
    pub layout: Layout,
}

impl Naming<'_> {
    /// The name of a class: what was said, else its description, else `object` in a plain folder, else as it is.
    ///
    /// # Errors
    /// A class that is not described.
    pub fn name(&self, key: &str) -> Result<ClassName> {
        let plain = |text: &str| ClassName { text: text.to_owned(), domain: None };
        Ok(match (self.class, self.dataset) {
            (Some(text), _) => self.prompts.describe(text, None)?,
            (None, Some(dataset)) => self.prompts.describe(key, Some(dataset))?,
            (None, None) if self.layout == Layout::TwoFolders => plain(ANYTHING),
            (None, None) => plain(key),
        })
    }
}
