//! How to draw on one stream: its width, and whether it has colours.

use std::fmt::Display;

/// Width where there is no terminal to ask.
pub(in crate::cli) const DEFAULT_WIDTH: usize = 80;

/// How to draw on one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Whether escape sequences are understood and wanted.
    pub(crate) colour: bool,
    /// Columns of a line.
    pub(crate) width: usize,
}

impl Style {
    /// No colour, 80 columns.
    #[cfg(test)]
    pub(crate) const PLAIN: Style = Style { colour: false, width: DEFAULT_WIDTH };

    /// `text` in bold.
    pub(crate) fn bold(&self, text: impl Display) -> String {
        self.paint("1", text)
    }

    /// `text` less bright than the rest.
    pub(crate) fn dim(&self, text: impl Display) -> String {
        self.paint("2", text)
    }

    /// `text` in red.
    pub(crate) fn red(&self, text: impl Display) -> String {
        self.paint("31", text)
    }

    /// `text` in the colour of bars and underlines that are no mistakes.
    pub(crate) fn accent(&self, text: impl Display) -> String {
        self.paint("36", text)
    }

    fn paint(&self, code: &str, text: impl Display) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
