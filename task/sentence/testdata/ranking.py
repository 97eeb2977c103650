"""Writes ranking.json: nDCG@10 and recall@100 of trec_eval for rankings with graded, missing and equal judgements.

Run by `python ranking.py > ranking.json` with pytrec-eval-terrier, whose version is in README.md.
"""
import json
import random

import pytrec_eval


def main():
    draw = random.Random(7)
    documents = [f"d{i}" for i in range(260)]
    cases = []
    for q in range(8):
        scores = {d: round(draw.uniform(0, 1), 2 if q % 2 else 6) for d in documents}  # with ties, and without
        grades = {d: draw.choice([0, 1, 1, 2, 3]) for d in draw.sample(documents, [3, 12, 150, 1, 40, 5, 2, 60][q])}
        if q == 6:
            grades = {d: 0 for d in grades}
        evaluator = pytrec_eval.RelevanceEvaluator({"q": grades}, {"ndcg_cut.10", "recall.100"})
        values = evaluator.evaluate({"q": scores})["q"]
        cases.append({"scores": scores, "grades": grades, "ndcg": values["ndcg_cut_10"], "recall": values["recall_100"]})
    print(json.dumps(cases))


main()
