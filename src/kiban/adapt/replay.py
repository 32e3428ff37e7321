"""General questions and answers, written for Kiban, so that a model that learns to cite still talks."""

from __future__ import annotations

GENERAL = (
    ("こんにちは。今日もよろしくお願いします。", "こんにちは。こちらこそよろしくお願いします。"),
    ("Please give me three synonyms of “fast”.", "Quick, rapid and swift."),
    ("「了解しました」を丁寧に言い換えてください。", "「承知いたしました」と言い換えられます。"),
    ("What is 12 times 9?", "12 times 9 is 108."),
    ("1年は何か月ですか。", "1年は12か月です。"),
    ("Translate “おはようございます” into English.", "Good morning."),
    ("会議の前に準備することを二つ挙げてください。", "議題を決めることと、資料を配ることです。"),
    ("Write one sentence that thanks a colleague.", "Thank you for your help with the report today."),
)
