//! The scopes that a token needs for an object type, in HubSpot's spelling.

/// How the scopes for records of an object type are spelled.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScopeArea {
    /// `crm.objects.contacts.read` and its relatives, for the area `contacts`.
    Crm(&'static str),
    /// The name is the scope, for reading and for writing.
    OneScope(&'static str),
    /// `conversations.read` and `conversations.write`, for the area `conversations`.
    Own(&'static str),
}

/// Which scope opens the property definitions of an object type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DefinitionScope {
    /// `crm.schemas.contacts.read`, for the area `contacts`.
    Schema(&'static str),
    /// The scope that opens the records.
    Records,
}

/// The scopes of one object type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObjectScopes {
    pub(crate) area: ScopeArea,
    pub(crate) definitions: DefinitionScope,
    /// Whether HubSpot has scopes for sensitive values of this object type.
    pub(crate) sensitive: bool,
}

impl ObjectScopes {
    /// Scopes of an object type that has the same area for records and definitions.
    pub(crate) const fn crm(area: &'static str) -> Self {
        Self { area: ScopeArea::Crm(area), definitions: DefinitionScope::Schema(area), sensitive: true }
    }

    /// The same without scopes for sensitive values.
    pub(crate) const fn without_sensitive(self) -> Self {
        Self { sensitive: false, ..self }
    }

    /// The scope for reading records.
    pub(crate) fn read(self) -> String {
        self.of_records("", "read")
    }

    /// The scope for writing records.
    pub(crate) fn write(self) -> String {
        self.of_records("", "write")
    }

    /// The scope for reading property definitions.
    pub(crate) fn definitions(self) -> String {
        match self.definitions {
            DefinitionScope::Schema(area) => format!("crm.schemas.{area}.read"),
            DefinitionScope::Records => self.read(),
        }
    }

    /// The scope for reading values of `level`, `sensitive` or `highly_sensitive`. `None` if HubSpot has no such scope.
    pub(crate) fn sensitive(self, level: &str) -> Option<String> {
        self.sensitive.then(|| self.of_records(&format!(".{level}"), "read"))
    }

    fn of_records(self, level: &str, action: &str) -> String {
        match self.area {
            ScopeArea::Crm(area) => format!("crm.objects.{area}{level}.{action}"),
            ScopeArea::OneScope(name) => format!("{name}{level}"),
            ScopeArea::Own(area) => format!("{area}{level}.{action}"),
        }
    }
}
