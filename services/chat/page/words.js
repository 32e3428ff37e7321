// What the page says, in both languages. Japanese comes first.

const WORDS = {
  ja: {
    skip: "質問欄へ移動",
    leave: "退出",
    earlier: "これまで",
    newTalk: "新しい会話",
    shelfTitle: "これまでの会話",
    noTalks: "まだ会話がありません。",
    forget: (title) => `「${title}」を消す`,
    forgetShort: "消す",
    couldNot: (message) => `できませんでした。${message}`,
    forgotten: "この回答は、いまは読めない資料から書かれたため、示していません。",
    otherLanguage: "English",
    signInTitle: "はじめに、どなたかを確かめます。",
    signInHelp: "受け取ったアクセストークンを貼り付けてください。このタブを閉じると消えます。",
    token: "アクセストークン",
    enter: "入る",
    signInFailed: "このトークンでは入れません。期限が切れていないか、お確かめください。",
    welcomeTitle: "社内の資料に、たずねる。",
    welcomeText:
      "あなたが読める資料だけから答え、根拠は原文のまま、場所とともに示します。資料に書かれていないことは、書かれていないと答えます。",
    question: "質問",
    hint: "質問を入力",
    send: "たずねる",
    stop: "止める",
    keys: "Enter で送信、Shift + Enter で改行",
    searching: "資料を探しています…",
    writing: "回答を書いています…",
    done: "回答が終わりました。",
    stopped: "途中で止めました。",
    abstained: "読める資料を探しましたが、答えは見つかりませんでした。言葉を変えると見つかることもあります。",
    unproven: "この回答には、原文で確かめられた引用がありません。資料を直接ご確認ください。",
    refused: (count) => `原文と一致しない引用 ${count} 件は、引用として示していません。`,
    sources: "出典",
    nearest: "近い資料（答えは書かれていません）",
    found: "読んだ資料",
    others: (count) => `ほかに読んだ資料 ${count} 件`,
    cite: (number) => `出典 ${number} を開く`,
    page: (page) => `${page}ページ`,
    sheet: (sheet) => `シート「${sheet}」`,
    slide: (slide) => `スライド ${slide}`,
    version: (version) => `第${version}版`,
    around: "前後を読む",
    changed: "この資料は、回答のあとに改訂されました。",
    release: (release) => `リリース ${release}`,
    again: "もう一度たずねる",
    unreachable: "サーバーにつながりません。少し待って、もう一度お試しください。",
    failed: (message) => `答えられませんでした。${message}`,
    gone: "この資料は、もう読めません。",
    useful: "役に立った",
    wrong: "正しくない",
    confirm: (number) => `出典 ${number} を読んで確かめた`,
    should: "正しい答え",
    where: "根拠のある資料",
    stands: "根拠の文（資料のとおりに）",
    send_feedback: "送る",
    thanks: "ありがとうございます。学習に使われるのは、ほかの二人が確かめたものだけです。",
    notThere: "その文は、この資料に見つかりません。資料のとおりに写してください。",
  },
  en: {
    skip: "Skip to the question",
    leave: "Sign out",
    earlier: "Earlier",
    newTalk: "New",
    shelfTitle: "Earlier conversations",
    noTalks: "There are none yet.",
    forget: (title) => `Delete “${title}”`,
    forgetShort: "Delete",
    couldNot: (message) => `That did not work. ${message}`,
    forgotten: "This answer was made from documents you cannot read now, so it is not shown.",
    otherLanguage: "日本語",
    signInTitle: "First, who are you?",
    signInHelp: "Paste the access token you were given. It is forgotten when this tab closes.",
    token: "Access token",
    enter: "Sign in",
    signInFailed: "This token does not let you in. It may have expired.",
    welcomeTitle: "Ask your company’s documents.",
    welcomeText:
      "Answers come only from documents you may read, and quote their evidence word for word with its place. What the documents do not say, nobody makes up.",
    question: "Question",
    hint: "Type a question",
    send: "Ask",
    stop: "Stop",
    keys: "Enter sends, Shift + Enter starts a new line",
    searching: "Looking through the documents…",
    writing: "Writing…",
    done: "The answer is complete.",
    stopped: "You stopped this answer.",
    abstained: "The documents you may read were searched. Other words may find what these did not.",
    unproven: "Nothing in this answer is backed by a verified quotation. Please check the documents.",
    refused: (count) =>
      count === 1
        ? "One quotation did not match its source and is not shown as one."
        : `${count} quotations did not match their sources and are not shown as such.`,
    sources: "Sources",
    nearest: "Nearest documents (they do not hold the answer)",
    found: "Documents read",
    others: (count) => (count === 1 ? "1 more passage read" : `${count} more passages read`),
    cite: (number) => `Open source ${number}`,
    page: (page) => `page ${page}`,
    sheet: (sheet) => `sheet “${sheet}”`,
    slide: (slide) => `slide ${slide}`,
    version: (version) => `version ${version}`,
    around: "Read around it",
    changed: "This document was revised after the answer.",
    release: (release) => `release ${release}`,
    again: "Ask again",
    unreachable: "The server cannot be reached. Please try again in a moment.",
    failed: (message) => `There is no answer. ${message}`,
    gone: "This document can no longer be read.",
    useful: "Useful",
    wrong: "Not right",
    confirm: (number) => `I read source ${number} and it says so`,
    should: "The right answer",
    where: "Document that says so",
    stands: "The sentence, word for word",
    send_feedback: "Send",
    thanks: "Thank you. Nothing is learnt from it until two other people have checked it.",
    notThere: "This sentence is not in that document. Please copy it word for word.",
  },
};

const KEPT = "kiban-language";
let language = localStorage.getItem(KEPT) === "en" ? "en" : "ja";

/** The words of one key; those that count something are given the number. */
export function say(key, ...values) {
  const words = WORDS[language][key];
  return typeof words === "function" ? words(...values) : words;
}

/** Turn to the other language and remember it. */
export function switchLanguage() {
  language = language === "ja" ? "en" : "ja";
  localStorage.setItem(KEPT, language);
}

/** Put the words of the current language wherever the page asks for them. */
export function translate() {
  document.documentElement.lang = language;
  for (const spot of document.querySelectorAll("[data-say]")) {
    const values = spot.dataset.values ? JSON.parse(spot.dataset.values) : [];
    spot.textContent = say(spot.dataset.say, ...values);
  }
  for (const field of document.querySelectorAll("[data-hint]")) field.placeholder = say(field.dataset.hint);
  for (const spot of document.querySelectorAll("[data-name]")) {
    spot.setAttribute("aria-label", say(spot.dataset.name, ...JSON.parse(spot.dataset.values ?? "[]")));
  }
}
