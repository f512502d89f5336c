"""Writes the dashboards."""

from tests.ship import dashboards

if __name__ == "__main__":
    dashboards.FOLDER.mkdir(exist_ok=True)
    for name, text in dashboards.files().items():
        (dashboards.FOLDER / name).write_text(text, encoding="utf-8")
