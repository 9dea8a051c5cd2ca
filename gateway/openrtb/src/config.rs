//! What the gateway is told: whom it stands for, and what text means.

use ringfence_domains::auction::messages::Dimension;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The configuration, a TOML file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The house's currency by its code of ISO 4217.
    pub currency: String,
    /// Numbers of other currencies in the engine, by their codes.
    #[serde(default)]
    pub currencies: BTreeMap<String, u16>,
    /// What we are called by servers of header bidding, which say by that name how many bids they take.
    #[serde(default)]
    pub bidder: Option<String>,
    /// Where notices come back to: the beginning of their addresses.
    pub notices: String,
    /// What notices are signed with and users are hashed with: at least 16 bytes.
    pub secret: String,
    /// How long an exchange waits for an answer when it does not say, and the most that it is taken to wait, in milliseconds.
    #[serde(default = "tmax")]
    pub tmax_ms: u64,
    /// What of that the network takes.
    #[serde(default = "margin")]
    pub margin_ms: u64,
    /// Bytes of a request at most.
    #[serde(default = "body_bytes")]
    pub body_bytes_max: usize,
    /// Connections at a time at most.
    #[serde(default = "connections")]
    pub connections_max: usize,
    /// Numbers of placements by `imp.tagid`. How many slots of it an `imp` has is the request's to say.
    pub placements: BTreeMap<String, u32>,
    /// What creatives are to an exchange.
    #[serde(default)]
    pub creatives: Vec<Creative>,
    /// Names that are given numbers at the start, by dimension: `site`, `deal`, `size`, ….
    #[serde(default)]
    pub names: BTreeMap<String, Vec<String>>,
}

/// What a creative is to an exchange.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Creative {
    /// Its number in the engine.
    pub creative: u32,
    /// Its markup.
    pub adm: String,
    /// The advertiser's domains.
    #[serde(default)]
    pub adomain: Vec<String>,
    /// Its categories.
    #[serde(default)]
    pub cat: Vec<String>,
    /// Its width and height.
    #[serde(default)]
    pub w: Option<u32>,
    /// Its width and height.
    #[serde(default)]
    pub h: Option<u32>,
    /// Seconds that it takes, of video and audio.
    #[serde(default)]
    pub dur: Option<u32>,
}

fn tmax() -> u64 {
    100
}

fn margin() -> u64 {
    10
}

fn body_bytes() -> usize {
    64 << 10
}

fn connections() -> usize {
    1_024
}

/// Why a configuration is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0}")]
    Read(std::io::Error),
    /// It is no such TOML.
    #[error("{0}")]
    Toml(toml::de::Error),
    /// A secret that can be guessed.
    #[error("the secret has fewer than 16 bytes")]
    ShortSecret,
    /// No such dimension of names.
    #[error("no dimension is called {0}")]
    UnknownDimension(String),
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        Self::parse(&std::fs::read_to_string(file).map_err(ConfigError::Read)?)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(ConfigError::Toml)?;
        if config.secret.len() < 16 {
            return Err(ConfigError::ShortSecret);
        }
        config.named()?;
        Ok(config)
    }

    /// The names that are given numbers at the start.
    ///
    /// # Errors
    /// [`ConfigError::UnknownDimension`].
    pub fn named(&self) -> Result<Vec<(Dimension, String)>, ConfigError> {
        let mut named = Vec::new();
        for (name, texts) in &self.names {
            let dimension = dimension(name).ok_or_else(|| ConfigError::UnknownDimension(name.clone()))?;
            named.extend(texts.iter().map(|text| (dimension, text.clone())));
        }
        Ok(named)
    }
}

fn dimension(name: &str) -> Option<Dimension> {
    Some(match name {
        "geography" => Dimension::Geography,
        "device" => Dimension::Device,
        "system" => Dimension::System,
        "language" => Dimension::Language,
        "site" => Dimension::Site,
        "category" => Dimension::Category,
        "keyword" => Dimension::Keyword,
        "segment" => Dimension::Segment,
        "size" => Dimension::Size,
        "deal" => Dimension::Deal,
        "ad_category" => Dimension::AdCategory,
        "ad_domain" => Dimension::AdDomain,
        "ad_attribute" => Dimension::AdAttribute,
        _ => return None,
    })
}
