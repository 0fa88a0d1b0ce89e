//! The class texts of a data set's prompts.

use super::Layout;
pub use crate::anchors::ANYTHING;
use crate::anchors::{AnchorError, ClassName, PromptSet};

/// The rule for the class texts of prompts.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    /// The ensemble.
    pub prompts: &'a PromptSet,
    /// The class text given for all classes.
    pub class: Option<&'a str>,
    /// The data set with the descriptions.
    pub dataset: Option<&'a str>,
    /// The layout of the data set.
    pub layout: Layout,
}

impl Naming<'_> {
    /// The text for a class: the given text, else its description, else `object` in a plain folder, else its
    /// own name.
    ///
    /// # Errors
    /// The class has no description.
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
