"""The library's database: tables, migrations, sessions."""
