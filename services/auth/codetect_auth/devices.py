"""A device in words, from what its browser or program says of itself."""

import re

# The first that is found: most browsers name others, too.
BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "FxiOS": "Firefox",
    "Firefox": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Version": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
PROGRAM = re.compile(r"([A-Za-z][\w.-]{0,40})/(\d+)")


def in_words(user_agent: str) -> str:
    """`Firefox 144 on Windows`; what is no browser keeps its own words."""
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), None)
    versions = dict(PROGRAM.findall(user_agent))
    browser = next((f"{name} {versions[mark]}" for mark, name in BROWSERS.items() if mark in versions), None)
    if browser and user_agent.startswith("Mozilla/"):
        return f"{browser} on {system}" if system else browser
    return user_agent or "Unknown"
