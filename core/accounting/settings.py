"""What an adapter is told about its provider by the environment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class ProviderSettings:
    """Addresses and credentials of one provider.

    Attributes:
        api_base: root of the API, without a slash at the end.
        app_base: root of the pages that a person opens, for links to a document.
        client_id: of our app at the provider.
        client_secret: of our app at the provider.
        authorize_url: consent page.
        token_url: token endpoint.
        revoke_url: where a grant is ended.
        data_path: where a provider without a network (the mock books) keeps its file.
    """

    api_base: str = ""
    app_base: str = ""
    client_id: str = ""
    client_secret: str = ""
    authorize_url: str = ""
    token_url: str = ""
    revoke_url: str = ""
    data_path: str = ""

    def __repr__(self) -> str:
        """Never show the secret (K6)."""
        return f"ProviderSettings(api_base={self.api_base!r}, ***)"

    @property
    def urls(self) -> tuple[str, ...]:
        """Every address that may be called, for the list of allowed hosts (I3)."""
        return tuple(url for url in (self.api_base, self.token_url, self.revoke_url) if url)
