//! The identity of a server.

use serde::Deserialize;

/// The identity of a server.
///
/// ```
/// # async fn example(session: &mut reql::Session<reql::Stream>) -> reql::Result<()> {
/// println!("{}", session.server_info().await?.name.unwrap_or_default());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// UUID.
    pub id: String,
    /// Name; a proxy has none.
    #[serde(default)]
    pub name: Option<String>,
    /// A server without data.
    #[serde(default)]
    pub proxy: bool,
}
