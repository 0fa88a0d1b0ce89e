//! What the prompts call the classes of a data set.

use super::Layout;
use crate::anchors::{AnchorError, ClassName, PromptSet};

/// What a class is called without a better name.
pub const ANYTHING: &str = "object";

/// The rule by which a class gets its name in the prompts.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    /// The ensemble.
    pub prompts: &'a PromptSet,
    /// What was said for all classes.
    pub class: Option<&'a str>,
    /// The data set whose descriptions are used.
    pub dataset: Option<&'a str>,
    /// How the data set's files are arranged.
    pub layout: Layout,
}

impl Naming<'_> {
    /// The name of a class: what was said, else its description, else `object` in a plain folder, else as it is.
    ///
    /// # Errors
    /// A class that is not described.
    pub fn name(&self, key: &str) -> Result<ClassName, AnchorError> {
        let plain = |text: &str| ClassName { text: text.to_owned(), domain: None };
        Ok(match (self.class, self.dataset) {
            (Some(text), _) => self.prompts.describe(text, None)?,
            (None, Some(dataset)) => self.prompts.describe(key, Some(dataset))?,
            (None, None) if self.layout == Layout::TwoFolders => plain(ANYTHING),
            (None, None) => plain(key),
        })
    }
}
